package app_test

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
)

// collected is what an OpenTelemetry collector was sent.
type collected struct {
	mu    sync.Mutex
	raw   []byte
	spans []*tracev1.Span
	names map[string]bool // of services
}

func (c *collected) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, "not gzip", http.StatusBadRequest)
			return
		}
		body = unzipped
	}
	raw, err := io.ReadAll(body)
	var sent collector.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(raw, &sent) != nil {
		http.Error(w, "not traces", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = append(c.raw, raw...)
	for _, resource := range sent.GetResourceSpans() {
		for _, a := range resource.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				c.names[a.GetValue().GetStringValue()] = true
			}
		}
		for _, scope := range resource.GetScopeSpans() {
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
}

func attributes(s *tracev1.Span) map[string]any {
	out := make(map[string]any)
	for _, a := range s.GetAttributes() {
		switch v := a.GetValue(); {
		case v.GetStringValue() != "":
			out[a.GetKey()] = v.GetStringValue()
		default:
			out[a.GetKey()] = v.GetIntValue()
		}
	}
	return out
}

func TestOneTraceLeadsFromTheCallerThroughRedisToTheModel(t *testing.T) {
	t.Parallel()
	got := &collected{names: make(map[string]bool)}
	receiver := httptest.NewServer(got)
	t.Cleanup(receiver.Close)
	model := llmtest.New(t, always(generous.Using(900, 600, 120)))
	cfg := settings(model, aRedis(t))
	cfg.OTLPEndpoint = receiver.URL
	r := serve(t, cfg)

	const trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	r.post(asking(answer(t)), "Traceparent", "00-"+trace+"-"+parent+"-01").graded(grading.Miss)
	r.stop() // sends what is waiting

	got.mu.Lock()
	defer got.mu.Unlock()
	require.True(t, got.names["gradus"])
	assertSilent(t, "the trace", got.raw)
	byName := make(map[string]*tracev1.Span)
	ours := make(map[string]bool)
	for _, s := range got.spans {
		if hex.EncodeToString(s.GetTraceId()) == trace {
			byName[s.GetName()] = s
			ours[hex.EncodeToString(s.GetSpanId())] = true
		}
	}
	door := byName["POST /v1/grades"]
	require.NotNil(t, door, "names: %v", byName)
	require.Equal(t, parent, hex.EncodeToString(door.GetParentSpanId()))
	require.Equal(t, "/v1/grades", attributes(door)["http.route"])
	require.EqualValues(t, http.StatusOK, attributes(door)["http.response.status_code"])

	chat := byName["chat first-model"]
	require.NotNil(t, chat, "names: %v", byName)
	require.True(t, ours[hex.EncodeToString(chat.GetParentSpanId())])
	require.EqualValues(t, 900, attributes(chat)["gen_ai.usage.input_tokens"])
	require.EqualValues(t, 600, attributes(chat)["gen_ai.usage.cache_read.input_tokens"])
	require.EqualValues(t, 120, attributes(chat)["gen_ai.usage.output_tokens"])

	commands := 0
	for name, s := range byName {
		if s.GetKind() == tracev1.Span_SPAN_KIND_CLIENT && name != chat.GetName() {
			require.True(t, ours[hex.EncodeToString(s.GetParentSpanId())], "%s belongs to the request", name)
			commands++
		}
	}
	require.Positive(t, commands, "Redis was asked: %v", byName)
	require.Contains(t, string(r.log.bytes()), trace, "the access log names the trace")
}

func TestACollectorThatIsAwayCostsNoGrade(t *testing.T) {
	t.Parallel()
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	cfg := settings(nil, "")
	cfg.OTLPEndpoint = away.URL
	r := serve(t, cfg)
	r.post(asking(answer(t))).graded(grading.Miss)
	r.stop()
}
