"""Settings, all from the environment. docs/operating.md lists every variable."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from webapp.env import env_bool, env_float, env_int, env_list, env_secret, env_str
from webapp.kept_secret import kept_secret

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(env_str("BERTH_VAR_DIR", str(BASE_DIR / "var")))
VAR_DIR.mkdir(parents=True, exist_ok=True)

DEBUG = env_bool("BERTH_DEBUG", default=False)
SECRET_KEY = env_secret("BERTH_SECRET_KEY") or kept_secret(VAR_DIR / "secret_key")
# Those before it, which still open what they signed or sealed.
SECRET_KEY_FALLBACKS = env_secret("BERTH_SECRET_KEY_FALLBACKS").replace(",", " ").split()
BIND = env_str("BIND", "127.0.0.1")
PORT = env_int("PORT", 8000)
BERTH_INSTALLATION_ID = (
    env_str("BERTH_INSTALLATION_ID") or kept_secret(VAR_DIR / "installation_id")[:12]
)

# Host names the app answers to. `BERTH_URL` is where browsers reach it, for example behind a proxy.
_public_host = BIND if BIND not in {"0.0.0.0", "::"} else "localhost"  # noqa: S104
BERTH_URL_IS_GIVEN = bool(env_str("BERTH_URL"))
BERTH_URL = env_str("BERTH_URL", f"http://{_public_host}:{PORT}").rstrip("/")
_url = urlsplit(BERTH_URL)
if _url.scheme not in {"http", "https"} or not _url.hostname:
    raise ImproperlyConfigured(f"BERTH_URL must be an http(s) address, not {BERTH_URL!r}.")
ALLOWED_HOSTS = env_list("BERTH_ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]", _url.hostname])
# Whoever listens on a port that was only assumed is not trusted: pages of the address that was
# asked need no mention here.
CSRF_TRUSTED_ORIGINS = [f"{_url.scheme}://{_url.netloc}"] if BERTH_URL_IS_GIVEN else []

INSTALLED_APPS = [
    "daphne",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "csp",
    "django_htmx",
    "template_partials",
    "sessions.apps.SessionsConfig",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "csp.middleware.CSPMiddleware",
    "sessions.web.middleware.ApiKeyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "sessions.web.middleware.ErrorPagesMiddleware",
]

ROOT_URLCONF = "webapp.urls"
ASGI_APPLICATION = "webapp.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ],
        },
    },
]


def _database(url: str) -> dict[str, object]:
    """`postgres://user:password@host:port/name`, or a file path for SQLite."""
    if url.startswith(("postgres://", "postgresql://")):
        parts = urlsplit(url)
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": parts.path.lstrip("/"),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": parts.hostname or "",
            "PORT": str(parts.port or ""),
            "CONN_MAX_AGE": 60,
        }
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": url,
        # Opened anew for each call, a connection cost as much again as what it was opened for:
        # storing one event took 2.4 ms instead of 1.2.
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            # Checkpoints are made beside the writers (runtime/checkpoints.py); the limit, in
            # pages of 4 KiB, is for processes that run no server.
            "init_command": (
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
                "PRAGMA wal_autocheckpoint=16000;"
            ),
        },
        # A file, because runner, views and consumers use it from several threads.
        "TEST": {"NAME": str(VAR_DIR / f"test-{os.getpid()}.sqlite3")},
    }


DATABASES = {"default": _database(env_secret("DATABASE_URL") or str(VAR_DIR / "db.sqlite3"))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env_secret("REDIS_URL")
CHANNEL_LAYERS = {
    "default": (
        {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [REDIS_URL]},
        }
        if REDIS_URL
        else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    )
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "django.contrib.staticfiles.storage.StaticFilesStorage"
            if DEBUG
            else "servestatic.storage.CompressedManifestStaticFilesStorage"
        )
    },
}

# Security. HTTPS-only cookies follow BERTH_URL, so that plain http on loopback still signs in.
_is_https = _url.scheme == "https"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _is_https
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "sessions.web.views.errors.csrf_failure"
SECURE_SSL_REDIRECT = False
SECURE_HSTS_SECONDS = env_int("BERTH_HSTS_SECONDS", 3600 if _is_https else 0)
if env_bool("BERTH_BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        # xterm.js positions its rows through style attributes and elements of its own.
        "style-src": [SELF, "'unsafe-inline'"],
        "img-src": [SELF, "data:", "blob:"],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FILES = 200
FILE_UPLOAD_TEMP_DIR = str(VAR_DIR)

# What Berth itself reads; sessions/runtime/wiring.py turns it into frozen values.
BERTH_MODEL = env_str("BERTH_MODEL")
BERTH_LOCAL_MODEL = env_str("BERTH_LOCAL_MODEL")
BERTH_CACHE_DIR = env_str("BERTH_CACHE", str(Path.home() / ".cache" / "berth"))
OPENAI_API_KEY = env_secret("OPENAI_API_KEY")
OPENAI_BASE_URL = env_str("OPENAI_BASE_URL")
BERTH_OPENAI_API = env_str("BERTH_OPENAI_API")
# Whether the default model answers for names that nobody has; None: where it runs on this machine.
BERTH_ANY_MODEL_NAME = (
    env_bool("BERTH_ANY_MODEL_NAME", default=False) if env_str("BERTH_ANY_MODEL_NAME") else None
)
BERTH_IMAGES = env_list("BERTH_IMAGES", [])
BERTH_DEFAULT_IMAGE = env_str("BERTH_DEFAULT_IMAGE", "berth/sandbox")
BERTH_GUEST_IMAGE = env_str("BERTH_GUEST_IMAGE", "berth/sandbox-slim")
BERTH_POOL = env_list("BERTH_POOL", [f"{BERTH_DEFAULT_IMAGE}=2"])
BERTH_MOUNTS = env_list("BERTH_MOUNTS", [])
BERTH_ROOT_COMMANDS = env_bool("BERTH_ROOT_COMMANDS", default=False)
BERTH_IDLE_MINUTES = env_float("BERTH_IDLE_MINUTES", 20.0)
BERTH_RETENTION_DAYS = env_float("BERTH_RETENTION_DAYS", 30.0)
BERTH_AGENTS = env_bool("BERTH_AGENTS", default=True)
BERTH_MAX_RUNNING_TURNS = env_int("BERTH_MAX_RUNNING_TURNS", 8)
BERTH_MEMORY_MB = env_int("BERTH_MEMORY_MB", 1024)
BERTH_CPUS = env_float("BERTH_CPUS", 1.0)
BERTH_PIDS = env_int("BERTH_PIDS", 512)
BERTH_DISK_MB = env_int("BERTH_DISK_MB", 10_240)
BERTH_COMMAND_TIMEOUT_S = env_float("BERTH_COMMAND_TIMEOUT_S", 120.0)
BERTH_SESSION_HOURS = env_float("BERTH_SESSION_HOURS", 8.0)
# The most a session may ask for. Without these one session could claim the whole machine and more.
_host_memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
BERTH_MAX_MEMORY_MB = env_int("BERTH_MAX_MEMORY_MB", _host_memory_mb)
BERTH_MAX_CPUS = env_float("BERTH_MAX_CPUS", float(os.cpu_count() or 1))
BERTH_MAX_PIDS = env_int("BERTH_MAX_PIDS", 4096)
BERTH_MAX_DISK_MB = env_int("BERTH_MAX_DISK_MB", 102_400)
BERTH_MAX_COMMAND_TIMEOUT_S = env_float("BERTH_MAX_COMMAND_TIMEOUT_S", 24 * 3600.0)
BERTH_MAX_SESSION_HOURS = env_float("BERTH_MAX_SESSION_HOURS", 720.0)
BERTH_MAX_OUTPUT_MB = env_int("BERTH_MAX_OUTPUT_MB", 64)
BERTH_MAX_UPLOAD_MB = env_int("BERTH_MAX_UPLOAD_MB", 2048)
# Of programs at /v1; 0 for no limit. The first three are of one key, which may have its own.
BERTH_KEY_REQUESTS_PER_MINUTE = env_int("BERTH_KEY_REQUESTS_PER_MINUTE", 6000)
BERTH_KEY_TOKENS_PER_MINUTE = env_int("BERTH_KEY_TOKENS_PER_MINUTE", 0)
BERTH_KEY_MAX_RESPONSES = env_int("BERTH_KEY_MAX_RESPONSES", 100)
BERTH_USER_REQUESTS_PER_MINUTE = env_int("BERTH_USER_REQUESTS_PER_MINUTE", 12_000)
BERTH_USER_TOKENS_PER_MINUTE = env_int("BERTH_USER_TOKENS_PER_MINUTE", 0)
BERTH_USER_MAX_RESPONSES = env_int("BERTH_USER_MAX_RESPONSES", 200)
BERTH_MAX_STEPS = env_int("BERTH_MAX_STEPS", 50)
BERTH_SCRIPTED_DELAY_S = env_float("BERTH_SCRIPTED_DELAY_S", 0.02)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
    },
    "filters": {"sign_in_tokens": {"()": "sessions.web.redaction.SignInTokens"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["sign_in_tokens"],
        }
    },
    "root": {"handlers": ["console"], "level": env_str("BERTH_LOG_LEVEL", "WARNING")},
    "loggers": {
        "sessions": {"level": env_str("BERTH_LOG_LEVEL", "INFO")},
        # One line per request says nothing the access log of a proxy does not.
        "django.channels.server": {"level": "ERROR"},
        "daphne": {"level": "WARNING"},
    },
}
