package config

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

func loadFrom(t *testing.T, environ []string, args ...string) (*Config, error) {
	t.Helper()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	Flags(flags)
	ServeFlags(flags)
	require.NoError(t, flags.Parse(args))
	files := map[string]string{"/run/key": "sk-from-a-file\n", "/run/keys": keyA + "\n" + keyB + "\n"}
	return load(flags, environ, func(name string) ([]byte, error) {
		content, ok := files[name]
		if !ok {
			return nil, fmt.Errorf("open %s: no such file", name)
		}
		return []byte(content), nil
	})
}

const (
	keyA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	keyB = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

func TestNothingSetIsAValidConfiguration(t *testing.T) {
	t.Parallel()
	c, err := loadFrom(t, nil)
	require.NoError(t, err)
	require.Equal(t, DefaultAddr, c.Listen())
	require.True(t, c.Loopback())
	require.False(t, c.ModelConfigured())
	require.Equal(t, 2*time.Minute, c.GradeTimeout)
	require.Equal(t, 30*24*time.Hour, c.Retention)
	require.Equal(t, 20, c.Concurrency)
	require.Empty(t, c.OpenAIModels)
	require.Equal(t, slog.LevelInfo, c.LogLevel)
}

func TestAFlagBeatsTheEnvironmentWhichBeatsTheDefault(t *testing.T) {
	t.Parallel()
	c, err := loadFrom(t, []string{"GRADUS_CONCURRENCY=7", "GRADUS_GRADE_TIMEOUT=5s", "UNRELATED=x"}, "--concurrency", "9")
	require.NoError(t, err)
	require.Equal(t, 9, c.Concurrency)
	require.Equal(t, 5*time.Second, c.GradeTimeout)
}

func TestPortChangesThePortOnly(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		environ []string
		args    []string
		want    string
	}{
		{[]string{"PORT=9000"}, nil, "127.0.0.1:9000"},
		{[]string{"PORT=9000", "GRADUS_ADDR=[::1]:1"}, nil, "[::1]:9000"},
		{nil, []string{"--addr", "127.0.0.1:0"}, "127.0.0.1:0"},
		{[]string{"PORT=9000"}, []string{"--addr", "127.0.0.1:9001"}, "127.0.0.1:9001"},
		{[]string{"PORT=9000"}, []string{"--addr", "127.0.0.1:9001", "--port", "9002"}, "127.0.0.1:9002"},
		{[]string{"PORT=9000"}, []string{"--port", "9002"}, "127.0.0.1:9002"},
	} {
		c, err := loadFrom(t, tc.environ, tc.args...)
		require.NoError(t, err)
		require.Equal(t, tc.want, c.Listen())
	}
}

func TestListsAndPricesAreRead(t *testing.T) {
	t.Parallel()
	c, err := loadFrom(t, []string{"OPENAI_API_KEY=k", "OPENAI_MODEL=a, b,", "GRADUS_PRICE=0.25, .03,2", "GRADUS_API_KEYS=" + keyA + "," + keyB})
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, c.OpenAIModels)
	require.Equal(t, Price{Input: .25, Cached: .03, Output: 2, Known: true}, c.Price)
	require.Len(t, c.APIKeys, 2)
}

func TestASecretCanComeFromAFile(t *testing.T) {
	t.Parallel()
	c, err := loadFrom(t, []string{"OPENAI_API_KEY_FILE=/run/key", "GRADUS_API_KEYS_FILE=/run/keys"})
	require.NoError(t, err)
	require.Equal(t, "sk-from-a-file", c.OpenAIAPIKey.Reveal())
	require.Len(t, c.APIKeys, 2, "one key a line")

	_, err = loadFrom(t, []string{"OPENAI_API_KEY_FILE=/nowhere"})
	require.ErrorContains(t, err, "OPENAI_API_KEY_FILE")
}

func TestASecretNeverPrints(t *testing.T) {
	t.Parallel()
	c, err := loadFrom(t, []string{"OPENAI_API_KEY=sk-hush", "REDIS_URL=redis://user:hush@localhost:6379"})
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(verb, *c), "hush")
	}
}

func TestListeningBeyondLoopbackNeedsKeysOrAnExplicitWord(t *testing.T) {
	t.Parallel()
	_, err := loadFrom(t, []string{"GRADUS_ADDR=0.0.0.0:8080"})
	require.ErrorContains(t, err, "--insecure-open")
	for _, env := range [][]string{
		{"GRADUS_ADDR=0.0.0.0:8080", "GRADUS_INSECURE_OPEN=true"},
		{"GRADUS_ADDR=:8080", "GRADUS_API_KEYS=" + keyA},
	} {
		_, err := loadFrom(t, env)
		require.NoError(t, err)
	}
}

func TestWhereToListenMattersOnlyToACommandThatListens(t *testing.T) {
	t.Parallel()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	Flags(flags)
	for _, environ := range [][]string{{"GRADUS_ADDR=0.0.0.0:8080"}, {"GRADUS_REQUIRE_KEYS=true"}, {"PORT=http"}} {
		_, err := load(flags, environ, nil)
		require.NoError(t, err, environ)
		_, err = loadFrom(t, environ)
		require.Error(t, err, environ)
	}
}

func TestKeysInRedisMayBeAllThereAre(t *testing.T) {
	t.Parallel()
	c, err := loadFrom(t, []string{"GRADUS_ADDR=0.0.0.0:8080", "REDIS_URL=redis://localhost"})
	require.NoError(t, err, "whether there are any is found out at the start")
	require.True(t, c.Exposed())
	c, err = loadFrom(t, []string{"GRADUS_ADDR=0.0.0.0:8080", "REDIS_URL=redis://localhost", "GRADUS_REQUIRE_KEYS=true"})
	require.NoError(t, err)
	require.False(t, c.Exposed())
	_, err = loadFrom(t, []string{"GRADUS_REQUIRE_KEYS=true"})
	require.ErrorContains(t, err, "there can be no keys")
}

func TestLimitsOfKeysHaveDefaultsAndCanBeLifted(t *testing.T) {
	t.Parallel()
	c, err := loadFrom(t, nil)
	require.NoError(t, err)
	require.Equal(t, []int64{600, 32, 0, 0}, []int64{int64(c.KeyRate), int64(c.KeyInFlight), c.KeyDailyTokens, int64(c.MaxInFlight)})
	c, err = loadFrom(t, []string{"GRADUS_KEY_RATE=0", "GRADUS_KEY_DAILY_TOKENS=5000000000"})
	require.NoError(t, err)
	require.Zero(t, c.KeyRate)
	require.Equal(t, int64(5_000_000_000), c.KeyDailyTokens)
	_, err = loadFrom(t, []string{"GRADUS_KEY_IN_FLIGHT=-1"})
	require.ErrorContains(t, err, "must not be negative")
}

func TestTracesGoWhereTheStandardSays(t *testing.T) {
	t.Parallel()
	const all, own = "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318/", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://traces:4318/in"
	for _, tc := range []struct {
		environ []string
		want    string
	}{
		{nil, ""},
		{[]string{all}, "http://collector:4318/v1/traces"},
		{[]string{own}, "http://traces:4318/in"},
		{[]string{all, own}, "http://traces:4318/in"},
		{[]string{all, own, "OTEL_SDK_DISABLED=true"}, ""},
	} {
		c, err := loadFrom(t, tc.environ)
		require.NoError(t, err)
		require.Equal(t, tc.want, c.TracesURL(), tc.environ)
	}
	_, err := loadFrom(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=localhost:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=x"})
	require.ErrorContains(t, err, "OTEL_EXPORTER_OTLP_ENDPOINT must be")
	require.ErrorContains(t, err, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT must be")
}

func TestOriginsAreExact(t *testing.T) {
	t.Parallel()
	c, err := loadFrom(t, []string{"GRADUS_CORS_ORIGIN=https://app.example, http://localhost:3000"})
	require.NoError(t, err)
	require.Equal(t, []string{"https://app.example", "http://localhost:3000"}, c.CORSOrigins)
	for _, origin := range []string{"*", "app.example", "https://app.example/", "https://app.example/x", "ftp://app.example", "https://u@app.example", "https://", "null"} {
		_, err := loadFrom(t, []string{"GRADUS_CORS_ORIGIN=https://app.example," + origin})
		require.ErrorContains(t, err, "GRADUS_CORS_ORIGIN", origin)
	}
}

func TestEveryFaultIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := loadFrom(t, []string{
		"GRADUS_JUDGE=dice", "OPENAI_BASE_URL=nowhere", "GRADUS_CONCURRENCY=0", "GRADUS_RETENTION=1s",
		"REDIS_URL=http://x", "GRADUS_API_KEYS=short", "PORT=http", "LOG_FORMAT=xml",
		"GRADUS_GRADE_TIMEOUT=5", "LOG_LEVEL=loud", "GRADUS_THOROUGH=perhaps", "GRADUS_SECRET_FILE=/nowhere", "GRADUS_ADDR=8080",
	})
	var invalid *InvalidError
	require.True(t, errors.As(err, &invalid))
	require.Len(t, invalid.Faults, 13)
	require.NotContains(t, err.Error(), "decod", "a person reads this")
	require.NotContains(t, err.Error(), "short", "a key is never repeated")
}

func TestFaultsThatOthersFindAreReportedWithTheRest(t *testing.T) {
	t.Parallel()
	seen := ""
	_, err := load(nil, []string{"GRADUS_RUBRICS=/nowhere", "LOG_LEVEL=loud"}, nil, func(c *Config) []string {
		seen = c.Rubrics
		return []string{"GRADUS_RUBRICS: there is no such folder"}
	})
	require.EqualError(t, err, "configuration:\n  LOG_LEVEL: \"loud\" is not a log level\n  GRADUS_RUBRICS: there is no such folder")
	require.Equal(t, "/nowhere", seen)
}

func TestWhatCannotBeReadNamesItsSetting(t *testing.T) {
	t.Parallel()
	for env, want := range map[string]string{
		"GRADUS_RETENTION=tomorrow": `GRADUS_RETENTION: "tomorrow" is not a duration such as 90s, 12h or 30d`,
		"GRADUS_PRICE=1,2":          "GRADUS_PRICE: want INPUT,CACHED,OUTPUT",
		"GRADUS_PRICE=NaN,1,1":      "GRADUS_PRICE: want three prices of 0 or more",
		"GRADUS_CONCURRENCY=many":   `GRADUS_CONCURRENCY: "many" is not a whole number`,
		"GRADUS_THOROUGH=very":      `GRADUS_THOROUGH: "very" is neither true nor false`,
		"LOG_LEVEL=loud":            `LOG_LEVEL: "loud" is not a log level`,
	} {
		_, err := loadFrom(t, []string{env})
		require.EqualError(t, err, "configuration: "+want)
	}
}

func TestASecretIsNotSetTwice(t *testing.T) {
	t.Parallel()
	_, err := loadFrom(t, []string{"OPENAI_API_KEY=sk-hush", "OPENAI_API_KEY_FILE=/run/key"})
	require.EqualError(t, err, "configuration: OPENAI_API_KEY and OPENAI_API_KEY_FILE are both set: choose one")
	_, err = loadFrom(t, []string{"OPENAI_API_KEY=", "OPENAI_API_KEY_FILE=/run/key"})
	require.NoError(t, err, "an empty variable counts as unset")
}

func TestEverySettingHasAFieldAndEveryFieldASetting(t *testing.T) {
	t.Parallel()
	fields := map[string]bool{}
	for i := range reflect.TypeFor[Config]().NumField() {
		fields[reflect.TypeFor[Config]().Field(i).Tag.Get("koanf")] = true
	}
	keys, names := map[string]bool{}, map[string]bool{}
	for _, s := range Settings() {
		require.NotEmpty(t, s.Usage, s.Key)
		require.False(t, keys[s.Key] || names[s.Env], "listed twice: %s", s.Key)
		keys[s.Key], names[s.Env] = true, true
	}
	require.Equal(t, fields, keys)
}
