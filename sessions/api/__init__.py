"""`/v1`: the part of the OpenAI API that carries the computer environment.

Names, fields and orders of events are those of the published OpenAPI document
(github.com/openai/openai-openapi, version 2.3.0) and of the official clients.
"""
