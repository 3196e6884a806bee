"""All settings of this process, from the environment: the kernel's, plus one fragment per hosted context."""

from pathlib import Path
from typing import Final

from django.utils.module_loading import import_string

from config.hosting import hosted_contexts, urls_of_others
from config.secrets import load_secrets
from config.testing import databases_of_run, home_of_run
from shop.observability import logs
from shop.settings import Env, Fragment, merge

BASE_DIR: Final = Path(__file__).resolve().parent.parent

env = Env()
SHOP_HOME = Path(env.text("SHOP_HOME") or home_of_run(env) or BASE_DIR / "var").expanduser().absolute()

CONTEXTS = hosted_contexts(env)
CONTEXT_URLS = urls_of_others(env, CONTEXTS)
_fragments: list[Fragment] = [import_string(f"contexts.{name}.settings.fragment")(env) for name in CONTEXTS]

# ---- databases: no `default` to fall back to -----------------------------------------------------------------
DATABASES = merge([{"default": {}}, *(env.databases(name, SHOP_HOME) for name in CONTEXTS)])
DATABASES = databases_of_run(env, DATABASES)
DATABASE_ROUTERS = ["shop.sharding.router.ContextRouter"]
SHOP_ENGINES = sorted({str(d["ENGINE"]).rpartition(".")[2] for d in DATABASES.values() if d})
STAFF_CONTEXT = "auth"

# ---- applications --------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "shop",  # first: its management commands replace Django's
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.admin",
    "django.contrib.staticfiles",
    "rest_framework",
    "ninja",
    "shop.staff",
    *(app for fragment in _fragments for app in fragment.installed_apps),
    *(f"contexts.{name}" for name in CONTEXTS),
]
MIDDLEWARE = [
    "shop.gateway.middleware.trace_requests",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "shop.gateway.middleware.Pipeline",
]
ROOT_URLCONF = "config.urls"
CSRF_FAILURE_VIEW = "shop.http.problems.no_csrf_token"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = False
DEMO_LOADER = "config.demo.load.load_demo" if "catalog" in CONTEXTS else ""
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"

# ---- secrets, accounts, tokens -------------------------------------------------------------------------------
_secrets = load_secrets(env, SHOP_HOME)
SECRET_KEY = _secrets["SECRET_KEY"]
PUBLIC_ID_KEY = _secrets["PUBLIC_ID_KEY"]
FAKE_WEBHOOK_SECRET = _secrets["FAKE_WEBHOOK_SECRET"]
SIGNING_KEYS = env.text("SIGNING_KEYS", str(SHOP_HOME / "keys" / f"{STAFF_CONTEXT}.jwks"))
TOKEN_ISSUER = "shop"  # noqa: S105  a name, no secret
TOKEN_AUDIENCE = "shop"  # noqa: S105  a name, no secret
AUTH_USER_MODEL = "shop_staff.StaffUser"
PASSWORD_HASHERS = ["shop.staff.hashers.OwaspArgon2Hasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# ---- services and events -------------------------------------------------------------------------------------
SERVICE_TRANSPORT = env.choice("SERVICE_TRANSPORT", "local", ("local", "loopback"))
SERVICE_KILL_SWITCH = frozenset(env.words("SERVICE_KILL_SWITCH"))
RELAY_PAUSED = env.flag("RELAY_PAUSED")

# ---- requests, server ----------------------------------------------------------------------------------------
ALLOWED_HOSTS = list(env.words("ALLOWED_HOSTS", ("localhost", "127.0.0.1", "[::1]")))
DATA_UPLOAD_MAX_MEMORY_SIZE = 1 << 20
HOST = env.text("HOST", "127.0.0.1")
PORT = env.integer("PORT", 8000, low=1, high=65_535)
# One process with six threads keeps some 70 connections to six databases; PostgreSQL gives 100 unless told otherwise.
SERVER_WORKERS = env.integer("SERVER_WORKERS", 1, low=1, high=64)
SERVER_THREADS = env.integer("SERVER_THREADS", 8 if "sqlite3" in SHOP_ENGINES else 6, low=1, high=256)
if "sqlite3" in SHOP_ENGINES and SERVER_WORKERS > 1:
    env.problems.append("SERVER_WORKERS: SQLite files are served by one process; use PostgreSQL for more")
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "shop.http.drf.JsonOnly",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "shop.http.drf.drf_problem",
    "UNAUTHENTICATED_USER": None,
}

# ---- what contexts add ---------------------------------------------------------------------------------------
CONTEXT_SETTINGS = merge(fragment.values for fragment in _fragments)
LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
LOGGING_CONFIG = None
env.close()
logs.configure(LOG_LEVEL)
