package config

// Setting is one thing an operator can set. The table below is the only list:
// flags, environment names, help and the README's table are made from it or
// checked against it.
type Setting struct {
	Key     string // the flag, unless Secret
	Env     string // environment variable
	Default string // as written
	Usage   string // one line
	// Secret settings have no flag (a command line is visible to every user of
	// the machine); most can be read from a file named by Env + "_FILE".
	Secret bool
	File   bool // Env_FILE is understood
	Serve  bool // of no use to a command that grades and ends
	Store  bool // of use to a command that looks into Redis and grades nothing
}

// Settings lists every setting, in the order help shows them.
func Settings() []Setting { return append([]Setting(nil), settings...) }

var settings = []Setting{
	{Key: "openai-api-key", Env: "OPENAI_API_KEY", Secret: true, File: true, Usage: "key for the model endpoint; turns the model judge on"},
	{Key: "openai-base-url", Env: "OPENAI_BASE_URL", Usage: "any OpenAI-compatible endpoint; turns the model judge on"},
	{Key: "openai-model", Env: "OPENAI_MODEL", Usage: "model names, comma separated: the first is asked, the next are fallbacks (default: " + DefaultModel + ", or the only model of --openai-base-url)"},
	{Key: "judge", Env: "GRADUS_JUDGE", Default: "auto", Usage: "who judges: auto (model if configured, else lexical), model or lexical"},
	{Key: "thorough", Env: "GRADUS_THOROUGH", Default: "false", Usage: "ask the model one call per criterion: more precise, about three times the cost"},
	{Key: "concurrency", Env: "GRADUS_CONCURRENCY", Default: "20", Usage: "most model calls in flight at once"},
	{Key: "grade-timeout", Env: "GRADUS_GRADE_TIMEOUT", Default: "120s", Usage: "longest an interactive grade may take, retries included"},
	{Key: "price", Env: "GRADUS_PRICE", Usage: "price in US dollars per million tokens, as INPUT,CACHED,OUTPUT; fills cost_usd"},
	{Key: "redis-url", Env: "REDIS_URL", Store: true, Usage: "where Redis is, as redis://, rediss:// or unix://; without it everything stays in this process"},
	{Key: "redis-cache-url", Env: "REDIS_CACHE_URL", Usage: "a second Redis for cached grades only, free to evict (default: --redis-url)"},
	{Key: "retention", Env: "GRADUS_RETENTION", Default: "30d", Usage: "how long grades are kept"},
	{Key: "api-keys", Env: "GRADUS_API_KEYS", Secret: true, File: true, Serve: true, Usage: "comma-separated keys of 32 characters or more, or sha256:HEX"},
	{Key: "require-keys", Env: "GRADUS_REQUIRE_KEYS", Default: "false", Serve: true, Usage: "want an API key even before one is found in Redis"},
	{Key: "key-rate", Env: "GRADUS_KEY_RATE", Default: "600", Serve: true, Usage: "most requests a minute of one API key that has no limit of its own (0: no limit)"},
	{Key: "key-in-flight", Env: "GRADUS_KEY_IN_FLIGHT", Default: "32", Serve: true, Usage: "most answers of one API key being graded at once (0: no limit)"},
	{Key: "key-daily-tokens", Env: "GRADUS_KEY_DAILY_TOKENS", Default: "0", Serve: true, Usage: "most tokens of models that one API key may use a day, UTC (0: no limit)"},
	{Key: "max-in-flight", Env: "GRADUS_MAX_IN_FLIGHT", Default: "0", Serve: true, Usage: "most answers being graded at once for everyone; beyond it requests are refused (0: by the processors and --concurrency)"},
	{Key: "api-key", Env: "GRADUS_API_KEY", Secret: true, File: true, Usage: "key that gradus batch --server sends to the service"},
	{Key: "webhook-secret", Env: "GRADUS_WEBHOOK_SECRET", Secret: true, File: true, Serve: true, Usage: "signs webhooks: whsec_BASE64, or text of 24 to 64 characters; a second one after a comma signs too; without it a batch cannot ask for one"},
	{Key: "secret", Env: "GRADUS_SECRET", Secret: true, File: true, Usage: "key for fence markers and the page's sessions; made once and kept in Redis when unset"},
	{Key: "rubrics", Env: "GRADUS_RUBRICS", Usage: "folder of question sets that replace or extend the embedded ones; reloaded when it changes"},
	{Key: "prompts", Env: "GRADUS_PROMPTS", Usage: "folder of prompt templates that replace the embedded ones"},
	{Key: "calibration", Env: "GRADUS_CALIBRATION", Usage: "file of gradus eval --calibrate: moves the scores of the questions in it to where people put them"},
	{Key: "addr", Env: "GRADUS_ADDR", Serve: true, Usage: "address to listen on (default 127.0.0.1:8080)"},
	{Key: "port", Env: "PORT", Serve: true, Usage: "port to listen on; the rest of the address stays"},
	{Key: "insecure-open", Env: "GRADUS_INSECURE_OPEN", Default: "false", Serve: true, Usage: "listen beyond loopback without API keys, and answer to any host name"},
	{Key: "cors-origin", Env: "GRADUS_CORS_ORIGIN", Serve: true, Usage: "sites, such as https://app.example, whose pages may call the API from a browser (default: none)"},
	{Key: "drain-delay", Env: "GRADUS_DRAIN_DELAY", Default: "0s", Serve: true, Usage: "how long a service told to stop goes on with /readyz red, so that a load balancer notices"},
	{Key: "otlp-endpoint", Env: "OTEL_EXPORTER_OTLP_ENDPOINT", Usage: "collector to send OpenTelemetry traces to, by OTLP over HTTP; the other OTEL_ variables of the standard count as well"},
	{Key: "otlp-traces-url", Env: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", Usage: "the same for traces alone, as the whole URL"},
	{Key: "otel-sdk-disabled", Env: "OTEL_SDK_DISABLED", Default: "false", Usage: "send no traces, whatever else is set"},
	{Key: "allow-volatile", Env: "GRADUS_ALLOW_VOLATILE", Default: "false", Serve: true, Usage: "take batches although Redis would lose them: without an append-only file, or while it evicts"},
	{Key: "log-level", Env: "LOG_LEVEL", Default: "info", Store: true, Usage: "what to log: debug, info, warn or error and above"},
	{Key: "log-format", Env: "LOG_FORMAT", Default: "auto", Store: true, Usage: "how to log: json, text, or auto (text on a terminal)"},
}
