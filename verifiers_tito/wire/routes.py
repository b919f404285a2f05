"""Route paths of the server, relative to its root. OpenAI clients are rooted at `API_ROOT`."""

API_ROOT = "/v1"
CHAT = "/v1/chat/completions"
CHAT_TOKENS = "/v1/chat/completions/tokens"  # POST completes, GET tells what the server can do
TOKENIZE = "/tokenize"
MODELS = "/v1/models"
HEALTH = "/health"
VERSION = "/version"
