"""Route paths of the server, relative to its root."""

CHAT = "/v1/chat/completions"
CHAT_TOKENS = "/v1/chat/completions/tokens"
TOKENIZE = "/tokenize"
MODELS = "/v1/models"
HEALTH = "/health"
VERSION = "/version"
