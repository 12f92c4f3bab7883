package server

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/access"
	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/internal/store"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

// connections and perRound are the load of one round on one contender.
const (
	connections = 64
	perRound    = 6000
)

// BenchmarkCachedGrade asks for the same kept grade of 4 KB, over real sockets,
// of three servers in turn: a bare gin handler that writes bytes from a map,
// one that does a go-redis GET of them, and this package with decoding, keys,
// limits leased from Redis, headers, access log and a cache in memory. Every iteration is one round on
// each, so that all three meet the same weather; the metrics are medians of
// rounds and their ratios.
func BenchmarkCachedGrade(b *testing.B) {
	ours, kept := whole(b)
	b.Logf("a grade of %d bytes", len(kept))
	contenders := []struct {
		name string
		addr string
		per  []float64 // requests a second, one entry a round
	}{
		{name: "gin+map", addr: listen(b, bareMap(kept))},
		{name: "gin+redis", addr: listen(b, bareRedis(b, kept))},
		{name: "gradus", addr: listen(b, ours)},
	}
	request := rawRequest()
	for i := range contenders { // connect, fill pools, warm branches
		load(b, contenders[i].addr, request, len(kept), perRound/4)
	}
	for b.Loop() {
		for i := range contenders {
			c := &contenders[i]
			c.per = append(c.per, load(b, c.addr, request, len(kept), perRound))
		}
	}
	b.ReportMetric(0, "ns/op") // a round of three means nothing by itself
	for _, c := range contenders {
		b.ReportMetric(median(c.per), c.name+"/s")
	}
	for _, bare := range contenders[:2] {
		b.ReportMetric(median(ratios(contenders[2].per, bare.per)), "x-"+bare.name)
	}
}

// BenchmarkServeHit is the CPU and the allocations of one hit without sockets:
// of an open service, of one with keys, of one with keys held to limits.
func BenchmarkServeHit(b *testing.B) {
	for _, name := range []string{"open", "keys", "limits"} {
		b.Run(name, func(b *testing.B) {
			h, _ := wholeBut(b, func(c *Config) {
				switch name {
				case "open":
					c.Keys, c.Limits = nil, nil
				case "keys":
					c.Limits = nil
				}
			})
			serveHits(b, h)
		})
	}
}

func serveHits(b *testing.B, h http.Handler) {
	w := &discard{h: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.h)
		h.ServeHTTP(w, cachedRequest(b))
	}
	require.Equal(b, http.StatusOK, w.status)
}

func cachedRequest(b *testing.B) *http.Request {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "/v1/grades", strings.NewReader(answerOf150Words()))
	require.NoError(b, err)
	r.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + clearKey}}
	return r
}

// discard is a ResponseWriter to nowhere.
type discard struct {
	h      http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }

// whole is this package over the real service and the real store in memory, a
// judge that says the same of every answer, keys, and a log to nowhere. It has
// graded the answer once.
func whole(b *testing.B) (http.Handler, []byte) { return wholeBut(b, func(*Config) {}) }

func wholeBut(b *testing.B, change func(*Config)) (http.Handler, []byte) {
	b.Helper()
	kept, err := store.Open(b.Context(), store.Config{MemoryOnly: true, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	b.Cleanup(func() { _ = kept.Close() })
	service, err := grading.New(grading.Config{Lexical: sameVerdict{}, Cache: kept, Now: time.Now})
	require.NoError(b, err)
	shared, err := store.Open(b.Context(), store.Config{URL: storetest.Shared(b).URL(), Prefix: storetest.Prefix(b), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	b.Cleanup(func() { _ = shared.Close() })
	cfg := Config{
		Grader:  service,
		Library: bigLibrary(b),
		Keys:    ring(b, clearKey),
		// Out of reach, and counted all the same.
		Limits:      access.NewLimiter(access.Limits{Rate: 1 << 30, InFlight: 1 << 20, DailyTokens: 1 << 50}, shared, nil),
		MaxInFlight: 1 << 20,
		Log:         slog.New(slog.NewJSONHandler(io.Discard, nil)),
		Observe:     func(Exchange) {},
	}
	change(&cfg)
	s, err := New(cfg)
	require.NoError(b, err)
	for _, want := range []string{"miss", "hit"} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, cachedRequest(b))
		require.Equal(b, http.StatusOK, w.Code, "%s", w.Body)
		require.Equal(b, want, w.Header().Get("X-Cache"))
		if want == "hit" {
			return s, w.Body.Bytes()
		}
	}
	panic("unreachable")
}

// sameVerdict finds every criterion met, with a quote.
type sameVerdict struct{}

func (sameVerdict) Name() string         { return grading.Lexical }
func (sameVerdict) Fingerprint() string  { return "same" }
func (sameVerdict) PromptDigest() string { return "" }

func (sameVerdict) Judge(_ context.Context, task judge.Task) (*judge.Judgement, error) {
	var out judge.Judgement
	for _, c := range task.Question.Criteria {
		out.Findings = append(out.Findings, judge.Finding{
			CriterionID: c.ID, Verdict: judge.Met, Credit: judge.FullCredit, Confidence: .9,
			Evidence: []evidence.Quote{{Text: "delete every alert that nobody ever acts upon"}},
		})
	}
	return &out, nil
}

// bigLibrary has a question of nine criteria, whose grade has about 4 KB.
func bigLibrary(b *testing.B) *rubric.Library {
	b.Helper()
	var text strings.Builder
	text.WriteString("version: 1\nid: platform\ntitle: Platform\nquestions:\n  - id: on-call\n    kind: technical\n    question: How?\n    criteria:\n")
	for i := range 9 {
		weight := 11
		if i == 0 {
			weight = 12
		}
		fmt.Fprintf(&text, "      - id: c%d\n        statement: %s\n        weight: %d\n", i, strings.Repeat("Removes alerts that nobody acts on. ", 4), weight)
	}
	set, err := rubric.Parse("big.yaml", []byte(text.String()))
	require.NoError(b, err)
	lib, err := rubric.NewLibrary(set)
	require.NoError(b, err)
	return lib
}

func bareMap(body []byte) http.Handler {
	kept := map[string][]byte{"key": body}
	var mu sync.RWMutex
	return bare(func(context.Context) ([]byte, error) {
		mu.RLock()
		defer mu.RUnlock()
		return kept["key"], nil
	})
}

func bareRedis(b *testing.B, body []byte) http.Handler {
	b.Helper()
	client := storetest.Shared(b).Client(b)
	key := storetest.Prefix(b) + "grade"
	require.NoError(b, client.Set(context.Background(), key, body, 0).Err())
	return bare(func(ctx context.Context) ([]byte, error) { return client.Get(ctx, key).Bytes() })
}

// bare is the least gin handler that answers with bytes.
func bare(get func(context.Context) ([]byte, error)) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.POST("/v1/grades", func(c *gin.Context) {
		body, err := get(c.Request.Context())
		if err != nil {
			c.Status(http.StatusInternalServerError)
			return
		}
		c.Header("Content-Length", strconv.Itoa(len(body)))
		c.Data(http.StatusOK, "application/json", body)
	})
	return e
}

func listen(b *testing.B, h http.Handler) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	server := &http.Server{Handler: h}
	go func() { _ = server.Serve(l) }()
	b.Cleanup(func() { _ = server.Close() })
	return l.Addr().String()
}

func answerOf150Words() string {
	return `{"question_id":"platform/on-call","answer":"` + strings.Repeat("I would first delete every alert that nobody ever acts upon. ", 14) + `"}`
}

// rawRequest is prepared once, so that the client costs little.
func rawRequest() []byte {
	body := answerOf150Words()
	return fmt.Appendf(nil, "POST /v1/grades HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", clearKey, len(body), body)
}

// load sends n requests over several connections and returns requests a second.
func load(b *testing.B, addr string, request []byte, size, n int) float64 {
	b.Helper()
	var wg sync.WaitGroup
	failed := make(chan error, connections)
	begin := make(chan struct{})
	for range connections {
		conn, err := net.Dial("tcp", addr)
		require.NoError(b, err)
		wg.Go(func() {
			defer func() { _ = conn.Close() }()
			<-begin
			r := bufio.NewReaderSize(conn, 16<<10)
			for range n / connections {
				if err := exchangeOnce(conn, r, request, size); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	start := time.Now()
	close(begin)
	wg.Wait()
	took := time.Since(start)
	select {
	case err := <-failed:
		b.Fatal(err)
	default:
	}
	return float64(n/connections*connections) / took.Seconds()
}

func exchangeOnce(conn net.Conn, r *bufio.Reader, request []byte, size int) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
			return fmt.Errorf("answered %s", line)
		}
		if len(line) == 2 {
			break
		}
	}
	_, err := r.Discard(size)
	return err
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func ratios(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] / b[i]
	}
	return out
}
