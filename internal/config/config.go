// Package config says what can be set and reads it: defaults, then the
// environment, then flags. It is the only package that reads the environment.
// Of ours it imports only the form of API keys.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gradus-ai/gradus/internal/access"
)

// DefaultModel is asked when only an OpenAI key is given.
const DefaultModel = "gpt-5.4-mini"

// DefaultAddr is where serve listens when nothing is set.
const DefaultAddr = "127.0.0.1:8080"

// minSecretLength is the shortest key for answer markers and sessions, in bytes.
const minSecretLength = 16

// Secret is a string that never prints.
type Secret string

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "[redacted]"
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// Config is what an operator set. Load returns only valid ones.
type Config struct {
	// APIKey is for calls to another service, APIKeys are for calls to this one.
	APIKey Secret `koanf:"api-key"`

	OpenAIAPIKey  Secret   `koanf:"openai-api-key"`
	OpenAIBaseURL string   `koanf:"openai-base-url"`
	OpenAIModels  []string `koanf:"openai-model"`

	Judge        string        `koanf:"judge"`
	Thorough     bool          `koanf:"thorough"`
	Concurrency  int           `koanf:"concurrency"`
	GradeTimeout time.Duration `koanf:"grade-timeout"`
	Price        Price         `koanf:"price"`

	RedisURL      Secret        `koanf:"redis-url"` // may hold a password
	RedisCacheURL Secret        `koanf:"redis-cache-url"`
	Retention     time.Duration `koanf:"retention"`

	APIKeys []Secret `koanf:"api-keys"`
	// RequireKeys wants a key even while none is known to exist.
	RequireKeys bool `koanf:"require-keys"`
	// Limits of keys that have none of their own; 0 is none.
	KeyRate        int   `koanf:"key-rate"` // a minute
	KeyInFlight    int   `koanf:"key-in-flight"`
	KeyDailyTokens int64 `koanf:"key-daily-tokens"`
	// MaxInFlight bounds answers graded at once for everyone; 0 lets the service
	// choose.
	MaxInFlight int `koanf:"max-in-flight"`

	Secret Secret `koanf:"secret"`
	// WebhookSecrets sign; the first is the current one.
	WebhookSecrets []Secret `koanf:"webhook-secret"`

	Rubrics string `koanf:"rubrics"`
	Prompts string `koanf:"prompts"`
	// Calibration is the file with the corrections of scores; empty for none.
	Calibration string `koanf:"calibration"`

	Addr         string `koanf:"addr"`
	Port         string `koanf:"port"`
	InsecureOpen bool   `koanf:"insecure-open"`
	// CORSOrigins are sites whose pages may call the API from a browser.
	CORSOrigins []string `koanf:"cors-origin"`
	// DrainDelay is how long a service told to stop goes on answering.
	DrainDelay time.Duration `koanf:"drain-delay"`

	// AllowVolatile takes batches that a Redis would lose.
	AllowVolatile bool `koanf:"allow-volatile"`

	// OTLPEndpoint turns tracing on; the exporter itself reads the standard's
	// other variables.
	OTLPEndpoint string `koanf:"otlp-endpoint"`
	// OTLPTracesURL is for traces alone and goes before OTLPEndpoint.
	OTLPTracesURL string `koanf:"otlp-traces-url"`
	OTelDisabled  bool   `koanf:"otel-sdk-disabled"`

	LogLevel  slog.Level `koanf:"log-level"`
	LogFormat string     `koanf:"log-format"`
}

// Price is in US dollars per million tokens. The zero value means unknown.
type Price struct {
	Input, Cached, Output float64
	Known                 bool
}

// ModelConfigured reports whether the operator gave a model endpoint.
func (c *Config) ModelConfigured() bool { return c.OpenAIAPIKey != "" || c.OpenAIBaseURL != "" }

// TracesURL is where traces are sent, empty where nobody wants any: the URL for
// traces as it is, else the path of the standard below the endpoint for all.
func (c *Config) TracesURL() string {
	switch {
	case c.OTelDisabled:
		return ""
	case c.OTLPTracesURL != "" || c.OTLPEndpoint == "":
		return c.OTLPTracesURL
	}
	return strings.TrimSuffix(c.OTLPEndpoint, "/") + "/v1/traces"
}

// Listen is the address to listen on: Addr, with Port in place of its port.
func (c *Config) Listen() string {
	addr := c.Addr
	if addr == "" {
		addr = DefaultAddr
	}
	if c.Port == "" {
		return addr
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr // Load refuses it
	}
	return net.JoinHostPort(host, c.Port)
}

// InvalidError lists every fault of a configuration at once.
type InvalidError struct{ Faults []string }

func (e *InvalidError) Error() string {
	if len(e.Faults) == 1 {
		return "configuration: " + e.Faults[0]
	}
	return "configuration:\n  " + strings.Join(e.Faults, "\n  ")
}

// faults lists what is wrong; for a command that listens, with its address too.
func (c *Config) faults(listens bool) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }

	if !slices.Contains([]string{"auto", "model", "lexical"}, c.Judge) {
		fault("GRADUS_JUDGE must be auto, model or lexical")
	}
	if c.Judge == "model" && !c.ModelConfigured() {
		fault("GRADUS_JUDGE is model, but neither OPENAI_API_KEY nor OPENAI_BASE_URL is set")
	}
	if c.OpenAIBaseURL != "" && !isHTTP(c.OpenAIBaseURL) {
		fault("OPENAI_BASE_URL must be an http or https URL")
	}
	if c.Concurrency < 1 || c.Concurrency > 10_000 {
		fault("GRADUS_CONCURRENCY must be between 1 and 10000")
	}
	if c.GradeTimeout <= 0 {
		fault("GRADUS_GRADE_TIMEOUT must be longer than nothing")
	}
	if c.DrainDelay < 0 {
		fault("GRADUS_DRAIN_DELAY must not be negative")
	}
	if c.Retention < time.Minute {
		fault("GRADUS_RETENTION must be a minute or longer")
	}
	for _, r := range []struct {
		env   string
		value Secret
	}{{"REDIS_URL", c.RedisURL}, {"REDIS_CACHE_URL", c.RedisCacheURL}} {
		if r.value == "" {
			continue
		}
		u, err := url.Parse(r.value.Reveal())
		if err != nil || !slices.Contains([]string{"redis", "rediss", "unix"}, u.Scheme) {
			fault("%s must be a redis://, rediss:// or unix:// URL", r.env)
		}
	}
	if n := len(c.Secret); n > 0 && n < minSecretLength {
		fault("GRADUS_SECRET must have %d characters or more", minSecretLength)
	}
	for i, key := range c.APIKeys {
		if _, err := access.ParseConfigured(key.Reveal()); err != nil {
			fault("GRADUS_API_KEYS: key %d: %v", i+1, err)
		}
	}
	if listens && c.RequireKeys && len(c.APIKeys) == 0 && c.RedisURL == "" {
		fault("GRADUS_REQUIRE_KEYS is set and there can be no keys: set GRADUS_API_KEYS, or REDIS_URL for keys made by gradus keys create")
	}
	if min(int64(c.KeyRate), int64(c.KeyInFlight), c.KeyDailyTokens, int64(c.MaxInFlight)) < 0 {
		fault("GRADUS_KEY_RATE, GRADUS_KEY_IN_FLIGHT, GRADUS_KEY_DAILY_TOKENS and GRADUS_MAX_IN_FLIGHT must not be negative")
	}
	if listens {
		c.addressFaults(fault)
	}
	for _, origin := range c.CORSOrigins {
		u, err := url.Parse(origin)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Scheme+"://"+u.Host != origin || u.Hostname() == "" {
			fault("GRADUS_CORS_ORIGIN must be a list of origins such as https://app.example, without a path")
			break
		}
	}
	for _, r := range []struct{ env, value string }{
		{"OTEL_EXPORTER_OTLP_ENDPOINT", c.OTLPEndpoint}, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", c.OTLPTracesURL},
	} {
		if r.value != "" && !isHTTP(r.value) {
			fault("%s must be an http or https URL", r.env)
		}
	}
	if !slices.Contains([]string{"auto", "json", "text"}, c.LogFormat) {
		fault("LOG_FORMAT must be json, text or auto")
	}
	return faults
}

// addressFaults says what is wrong with where to listen. A port that is none
// hides nothing that is wrong with the rest of the address.
func (c *Config) addressFaults(fault func(format string, args ...any)) {
	if c.Port != "" && !isPort(c.Port) {
		fault("PORT must be a number from 0 to 65535")
	}
	if c.Addr != "" {
		if _, port, err := net.SplitHostPort(c.Addr); err != nil || !isPort(port) {
			fault("GRADUS_ADDR must be HOST:PORT, such as %s", DefaultAddr)
			return
		}
	}
	if c.Exposed() && c.RedisURL == "" { // in a Redis there may be keys
		fault("%s is reachable from other machines and no API keys are set: set GRADUS_API_KEYS, or --insecure-open if something in front guards it", c.Listen())
	}
}

func isHTTP(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

func isPort(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= 0 && n <= 65535
}

// Loopback reports whether Listen can be reached from this machine only.
func (c *Config) Loopback() bool {
	host, _, err := net.SplitHostPort(c.Listen())
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Exposed reports whether other machines reach the service and nothing in the
// configuration makes it want a key, or says that it need not.
func (c *Config) Exposed() bool {
	return !c.Loopback() && len(c.APIKeys) == 0 && !c.RequireKeys && !c.InsecureOpen
}

// ParsePrice reads INPUT,CACHED,OUTPUT in US dollars per million tokens.
func ParsePrice(s string) (Price, error) {
	if s == "" {
		return Price{}, nil
	}
	var n [3]float64
	parts := strings.Split(s, ",")
	if len(parts) != len(n) {
		return Price{}, errors.New("want INPUT,CACHED,OUTPUT")
	}
	for i, part := range parts {
		v, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil || !(v >= 0 && v <= 1e6) { // NaN is neither
			return Price{}, errors.New("want three prices of 0 or more")
		}
		n[i] = v
	}
	return Price{Input: n[0], Cached: n[1], Output: n[2], Known: true}, nil
}

// ParseDuration reads Go durations and whole days ("30d").
func ParseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > 36500 {
			return 0, fmt.Errorf("%q is not a number of days", s)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration such as 90s, 12h or 30d", s)
	}
	return d, nil
}
