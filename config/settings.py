"""All settings of this process, from the environment: the kernel's, plus one fragment per hosted context."""

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from django.utils.csp import CSP
from django.utils.module_loading import import_string

from config.broker import broker_namespace, broker_url
from config.hosting import KNOWN_CONTEXTS, hosted_contexts, know_contracts, switched_off, urls_of_others
from config.limiting import rate_limits, redis_url
from config.mailing import mailers, mails_from
from config.origins import ANY, allowed_origins, public_url
from config.secrets import load_secrets
from config.testing import databases_of_run, home_of_run
from shop.observability import errors, logs
from shop.settings import Env, Fragment, merge, processors

BASE_DIR: Final = Path(__file__).resolve().parent.parent

env = Env()
SHOP_HOME = Path(env.text("SHOP_HOME") or home_of_run(env) or BASE_DIR / "var").expanduser().absolute()

CONTEXTS = hosted_contexts(env)
CONTEXT_URLS = urls_of_others(env, CONTEXTS)
know_contracts()
_fragments: list[Fragment] = [import_string(f"contexts.{name}.settings.fragment")(env) for name in CONTEXTS]

# ---- databases: no `default` to fall back to -----------------------------------------------------------------
DATABASES = merge([{"default": {}}, *(env.databases(name, SHOP_HOME) for name in CONTEXTS)])
DATABASES = databases_of_run(env, CONTEXTS, DATABASES)
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
    "drf_spectacular_sidecar",  # the files of Swagger UI, for /api/docs
    "rest_framework",
    "ninja",
    "corsheaders",
    "shop.staff",
    *(app for fragment in _fragments for app in fragment.installed_apps),
    *(f"contexts.{name}" for name in CONTEXTS),
]
_origins = allowed_origins(env)
MIDDLEWARE = [
    "shop.gateway.access.trace_requests",
    *(["corsheaders.middleware.CorsMiddleware"] if _origins else []),
    "shop.gateway.chain.Security",
    "shop.gateway.chain.Policy",
    "shop.gateway.chain.Sessions",
    "django.middleware.common.CommonMiddleware",
    "shop.gateway.chain.Forms",
    "shop.gateway.chain.SignedIn",
    "shop.gateway.chain.Messages",
    "shop.gateway.chain.Frames",
    "shop.gateway.middleware.Pipeline",
]
ROOT_URLCONF = "config.urls"
CSRF_FAILURE_VIEW = "shop.http.problems.no_csrf_token"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = False
DEMO_LOADER = "config.demo.load.load_demo" if "catalog" in CONTEXTS else ""
ORDER_REPLAYER = "config.demo.replay.running.replay_file" if CONTEXTS == KNOWN_CONTEXTS else ""
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    },
    {
        "NAME": "mails",  # plain text: nothing is escaped
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [SHOP_HOME / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {"autoescape": False},
    },
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
SERVICE_KILL_SWITCH = switched_off(env)
SERVICE_FACE = env.flag("SERVICE_FACE") or bool(CONTEXT_URLS)
BROKER_URL = broker_url(env)
BROKER_NAMESPACE = broker_namespace(env)
EVENTS_KEPT_DAYS = env.integer("EVENTS_KEPT_DAYS", 30, low=1, high=3_650)
RELAY_PAUSED = env.flag("RELAY_PAUSED")
MAP_WATCH = not env.text("SHOP_TEST_ENGINE")  # a test would find its database in use when it is dropped

# ---- mails ---------------------------------------------------------------------------------------------------
MAILERS = mailers(env)
DEFAULT_FROM_EMAIL = mails_from(env)

# ---- requests, server ----------------------------------------------------------------------------------------
LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
ALLOWED_HOSTS = list(env.words("ALLOWED_HOSTS", LOCAL_HOSTS))
RATE_LIMITS = rate_limits(env)
REDIS_URL = redis_url(env)
DATA_UPLOAD_MAX_MEMORY_SIZE = 1 << 20
HOST = env.text("HOST", "127.0.0.1")
PORT = env.integer("PORT", 8000, low=1, high=65_535)
SHARE_PORT = env.flag("SHARE_PORT")
# PostgreSQL gives 97 unless told otherwise: enough for two workers and a command beside them.
DATABASE_CONNECTIONS = env.integer("DATABASE_CONNECTIONS", 30, low=4, high=10_000)
SERVER_WORKERS = env.integer("SERVER_WORKERS", 1 if "sqlite3" in SHOP_ENGINES else min(2, processors()), low=1, high=64)
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
    "DEFAULT_SCHEMA_CLASS": "shop.http.spectacular.RoutedSchema",
    "EXCEPTION_HANDLER": "shop.http.drf.drf_problem",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.0",
    "COMPONENT_SPLIT_PATCH": False,  # what a PATCH takes has a shape of its own here
    "ENFORCE_NON_BLANK_FIELDS": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": [],
}

# ---- browsers ------------------------------------------------------------------------------------------------
PUBLIC_URL = public_url(env)
_HTTPS = PUBLIC_URL.startswith("https://")  # ended by a proxy in front, which says so in X-Forwarded-Proto
ALLOWED_HOSTS += [str(urlsplit(PUBLIC_URL).hostname)] if PUBLIC_URL else []
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if PUBLIC_URL else []
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = _HTTPS
SECURE_SSL_HOST = urlsplit(PUBLIC_URL).netloc if _HTTPS else None
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$", r"^metrics$", r"^_svc/"]  # asked by machines, behind the proxy
SECURE_HSTS_SECONDS = 365 * 86_400 if _HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _HTTPS else None
X_FRAME_OPTIONS = "DENY"
SECURE_CSP = {
    "default-src": [CSP.SELF],
    "style-src": [CSP.SELF, CSP.NONCE],
    "object-src": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
}
CORS_ALLOW_ALL_ORIGINS = _origins == (ANY,)
CORS_ALLOWED_ORIGINS = [] if CORS_ALLOW_ALL_ORIGINS else list(_origins)
CORS_URLS_REGEX = r"^/(api/|\.well-known/).*$"  # never /metrics, never the admin
CORS_ALLOW_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
CORS_ALLOW_HEADERS = ["accept", "authorization", "content-type", "idempotency-key", "if-match", "if-none-match"]
CORS_EXPOSE_HEADERS = ["ETag", "Idempotent-Replay", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-ID"]
CORS_PREFLIGHT_MAX_AGE = 7_200

# ---- what contexts add ---------------------------------------------------------------------------------------
CONTEXT_SETTINGS = merge(fragment.values for fragment in _fragments)
LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
LOGGING_CONFIG = None
METRICS_TOKEN = env.text("METRICS_TOKEN")
SENTRY_DSN = env.checked("SENTRY_DSN", errors.check_dsn, "")
env.close()
logs.configure(LOG_LEVEL)
if SENTRY_DSN:
    errors.report_to(SENTRY_DSN)
