// Lets Node find the page's modules by the bare names that the import map gives them.
import { register } from "node:module";

register("./resolve.mjs", import.meta.url);
