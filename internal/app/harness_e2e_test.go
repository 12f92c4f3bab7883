package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/config"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

// The tests in the files named *_e2e_test.go run the program as it is wired:
// HTTP in, a model behind HTTP, a Redis of its own kind. Every answer holds the
// canary, and every failure that the model plays holds the other one; when a
// service stops, its log, its metrics and the problems it answered with are
// searched for both.
const (
	canary      = "zanzibarquokka"
	wordOfModel = "upstreamocelot"
)

// within bounds every wait of these tests. It is no time that anything takes.
const within = time.Minute

// TestMain sees that no test leaves a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onCall is the question that most of these tests ask.
func onCall() *api.Question {
	return &api.Question{
		Question: "How would you make an exhausting rota bearable?",
		Criteria: []api.Criterion{
			{ID: "alerts", Statement: "Deletes alerts that nobody acts on", Weight: new(60.0)},
			{ID: "runbooks", Statement: "Writes a runbook for every alert that stays", Weight: new(40.0)},
		},
	}
}

// answer is a full answer to onCall that no other test gives.
func answer(t *testing.T, more ...string) string {
	t.Helper()
	return fmt.Sprintf("As %s at %s I would delete every alert that nobody acts on. After that I would write a runbook for every alert that stays. %s",
		canary, strings.ToLower(strings.ReplaceAll(t.Name(), "/", " ")), strings.Join(more, " "))
}

func asking(text string) api.GradeRequest { return api.GradeRequest{Question: onCall(), Answer: text} }

// generous is a model's reply that meets both criteria of onCall and proves it.
var generous = llmtest.Reply(verdicts(`"met","confidence":95`, `"met","confidence":90`))

// verdicts is a reply about onCall with the members that follow "verdict": for
// each criterion.
func verdicts(alerts, runbooks string) string {
	return `{"criteria":[` +
		`{"id":"c1","evidence":["delete every alert that nobody acts on"],"compare":"","verdict":` + alerts + `},` +
		`{"id":"c2","evidence":["write a runbook for every alert that stays"],"compare":"","verdict":` + runbooks + `}]}`
}

// always makes a model of a step.
func always(step llmtest.Step) llmtest.Step {
	return llmtest.Always(func(llmtest.Request) llmtest.Step { return step })
}

// settings is a configuration that owes nothing to the environment. Without a
// model the judge is lexical, without a Redis the store is in-process.
func settings(model *llmtest.Server, redis string) config.Config {
	c := config.Config{
		Judge:        grading.Auto,
		Concurrency:  64,
		GradeTimeout: time.Minute,
		Retention:    24 * time.Hour,
		RedisURL:     config.Secret(redis),
	}
	if model != nil {
		c.OpenAIBaseURL, c.OpenAIModels = model.URL, []string{"first-model"}
	}
	return c
}

// aRedis is the URL of a Redis that the tests share.
func aRedis(t *testing.T) string { return storetest.Shared(t).URL() }

// running is a service that answers on loopback.
type running struct {
	t      *testing.T
	url    string
	addr   string
	log    *journal
	client *http.Client
	end    context.CancelFunc
	ended  chan error
	once   sync.Once
}

// serve runs the program until the test ends or stop is called. It is patient
// with Redis, so that a busy machine makes no misses of hits.
func serve(t *testing.T, cfg config.Config) *running {
	t.Helper()
	return serveWith(t, cfg, app.Options{RedisBudget: 5 * time.Second})
}

func serveWith(t *testing.T, cfg config.Config, options app.Options) *running {
	t.Helper()
	log := newJournal()
	options.Logger, options.Version = log.logger(), "test"
	a, err := app.New(t.Context(), &cfg, options)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	// The test's own context ends before its clean-up begins.
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{
		t:      t,
		url:    "http://" + listener.Addr().String(),
		addr:   listener.Addr().String(),
		log:    log,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}},
		end:    cancel,
		ended:  make(chan error, 1),
	}
	go func() { r.ended <- a.Serve(ctx, listener) }()
	t.Cleanup(r.stop)
	return r
}

// as is the same service for the assertions of another test.
func (r *running) as(t *testing.T) *running {
	return &running{t: t, url: r.url, addr: r.addr, log: r.log, client: r.client}
}

// stop ends the service and looks for what it must not have told anybody.
func (r *running) stop() {
	r.once.Do(func() {
		if metrics, err := r.do(context.Background(), http.MethodGet, "/metrics", nil); err == nil {
			assertSilent(r.t, "/metrics", metrics.body)
		}
		r.end()
		select {
		case err := <-r.ended:
			assert.NoError(r.t, err, "Serve")
		case <-time.After(within):
			assert.Fail(r.t, "the service does not stop")
		}
		r.client.CloseIdleConnections()
		assertSilent(r.t, "the log", r.log.bytes())
	})
}

func assertSilent(t *testing.T, where string, text []byte) {
	t.Helper()
	text = bytes.ToLower(text)
	for _, word := range []string{canary, wordOfModel} {
		if at := bytes.Index(text, []byte(word)); at >= 0 {
			assert.Failf(t, "words that are nobody's business", "%s tells %q: … %s …", where, word, text[max(0, at-200):min(len(text), at+100)])
		}
	}
}

// response is an answer of the service.
type response struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// do sends a request. A problem must not repeat what was sent, or what a model
// said.
func (r *running) do(ctx context.Context, method, path string, body any, headers ...string) (response, error) {
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return response{}, err
		}
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.url+path, payload)
	if err != nil {
		return response{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return response{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return response{}, err
	}
	out := response{t: r.t, status: resp.StatusCode, header: resp.Header, body: raw}
	if out.status >= http.StatusBadRequest {
		assertSilent(r.t, "a problem", raw)
	}
	return out, nil
}

// get and the like are do where nothing can go wrong on the way.
func (r *running) get(path string) response {
	return r.must(r.do(r.t.Context(), http.MethodGet, path, nil))
}
func (r *running) forget(path string) response {
	return r.must(r.do(r.t.Context(), http.MethodDelete, path, nil))
}
func (r *running) post(body api.GradeRequest, headers ...string) response {
	r.t.Helper()
	return r.must(r.do(r.t.Context(), http.MethodPost, "/v1/grades", body, headers...))
}

func (r *running) must(resp response, err error) response {
	r.t.Helper()
	require.NoError(r.t, err)
	return resp
}

// posted is a request under way: sent is closed once all of it has been
// written, and the outcome arrives on done.
type posted struct {
	sent <-chan struct{}
	done <-chan outcome
}

type outcome struct {
	response
	err error
}

// begin posts without waiting.
func (r *running) begin(ctx context.Context, body api.GradeRequest) posted {
	sent, done := make(chan struct{}), make(chan outcome, 1)
	var once sync.Once
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { once.Do(func() { close(sent) }) },
	})
	go func() {
		resp, err := r.do(ctx, http.MethodPost, "/v1/grades", body)
		done <- outcome{resp, err}
	}()
	return posted{sent, done}
}

// ends waits for the outcome.
func (p posted) ends(t *testing.T) outcome {
	t.Helper()
	select {
	case o := <-p.done:
		return o
	case <-time.After(within):
		require.Fail(t, "the request was not answered")
		return outcome{}
	}
}

// graded is the grade of a 200 that came from there.
func (r response) graded(source grading.Source) *api.Grade {
	r.t.Helper()
	require.Equal(r.t, http.StatusOK, r.status, "%s", r.body)
	require.Equal(r.t, string(source), r.header.Get("X-Cache"))
	var g api.Grade
	require.NoError(r.t, json.Unmarshal(r.body, &g))
	return &g
}

// refused demands a failure of that type.
func (r response) refused(kind api.ProblemType) {
	r.t.Helper()
	require.Equal(r.t, kind.Status, r.status, "%s", r.body)
	require.Equal(r.t, api.ProblemMedia, r.header.Get("Content-Type"))
	var p api.Problem
	require.NoError(r.t, json.Unmarshal(r.body, &p))
	require.ErrorIs(r.t, &p, kind)
	require.NotContains(r.t, string(r.body), "score", "no number comes out of a failure")
	require.Empty(r.t, r.header.Get("X-Cache"))
}

// retryAfter is the header of that name, in seconds; 0 without one.
func (r response) retryAfter() int {
	n, _ := strconv.Atoi(r.header.Get("Retry-After")) // absent: 0
	return n
}

// but is a grade's JSON without these members, for comparing.
func (r response) but(members ...string) map[string]any {
	r.t.Helper()
	var g map[string]any
	require.NoError(r.t, json.Unmarshal(r.body, &g))
	maps.DeleteFunc(g, func(name string, _ any) bool {
		for _, m := range members {
			if m == name {
				return true
			}
		}
		return false
	})
	return g
}

// ready is what /readyz says, and with which status.
func (r *running) ready() (int, api.Readiness) {
	r.t.Helper()
	resp := r.get("/readyz")
	var found api.Readiness
	require.NoError(r.t, json.Unmarshal(resp.body, &found))
	return resp.status, found
}

// check is what /readyz says of one thing.
func check(found api.Readiness, name string) api.Check {
	for _, c := range found.Checks {
		if c.Name == name {
			return c
		}
	}
	return api.Check{}
}

// metric is the value of a series, written as /metrics writes it; 0 while
// there is none.
func (r *running) metric(series string) float64 {
	r.t.Helper()
	for line := range strings.Lines(string(r.get("/metrics").body)) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			require.NoError(r.t, err)
			return value
		}
	}
	return 0
}

// until waits for something that nobody announces.
func until(t *testing.T, what string, happened func() bool) {
	t.Helper()
	deadline, tick := time.After(within), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !happened() {
		select {
		case <-deadline:
			require.Fail(t, "waited in vain", what)
		case <-tick.C:
		}
	}
}

// journal is a log at its most talkative, kept.
type journal struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed with the next line
}

func newJournal() *journal { return &journal{changed: make(chan struct{})} }

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	close(j.changed)
	j.changed = make(chan struct{})
	return j.text.Write(line)
}

func (j *journal) bytes() []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return bytes.Clone(j.text.Bytes())
}

// says waits until the log holds text n times.
func (j *journal) says(t *testing.T, text string, n int) {
	t.Helper()
	deadline := time.After(within)
	for {
		j.mu.Lock()
		found, changed := bytes.Count(j.text.Bytes(), []byte(text)) >= n, j.changed
		j.mu.Unlock()
		if found {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			require.Fail(t, "the log does not say it", text)
		}
	}
}

var errLeft = errors.New("left")
