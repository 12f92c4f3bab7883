package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
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
// headers, access log and a cache in memory. Every iteration is one round on
// each, so that all three meet the same weather; the metrics are medians of
// rounds and their ratios.
func BenchmarkCachedGrade(b *testing.B) {
	kept := bigRecord(b, 4<<10)
	contenders := []struct {
		name string
		addr string
		per  []float64 // requests a second, one entry a round
	}{
		{name: "gin+map", addr: listen(b, bareMap(kept.JSON()))},
		{name: "gin+redis", addr: listen(b, bareRedis(b, kept.JSON()))},
		{name: "gradus", addr: listen(b, whole(b, kept))},
	}
	request := rawRequest()
	for i := range contenders { // connect, fill pools, warm branches
		load(b, contenders[i].addr, request, len(kept.JSON()), perRound/4)
	}
	for b.Loop() {
		for i := range contenders {
			c := &contenders[i]
			c.per = append(c.per, load(b, c.addr, request, len(kept.JSON()), perRound))
		}
	}
	b.ReportMetric(0, "ns/op") // a round of three means nothing by itself
	for _, c := range contenders {
		b.ReportMetric(median(c.per), c.name+"/s")
	}
	ours := contenders[2].per
	b.ReportMetric(median(ratios(ours, contenders[0].per)), "x-gin+map")
	b.ReportMetric(median(ratios(ours, contenders[1].per)), "x-gin+redis")
}

// BenchmarkServeHit is the CPU and the allocations of one hit without sockets.
func BenchmarkServeHit(b *testing.B) {
	kept := bigRecord(b, 4<<10)
	h := whole(b, kept)
	body := answerOf150Words()
	w := &discard{h: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		req, _ := http.NewRequestWithContext(context.Background(), http.MethodPost, "/v1/grades", strings.NewReader(body))
		req.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + clearKey}}
		clear(w.h)
		h.ServeHTTP(w, req)
	}
	require.Equal(b, http.StatusOK, w.status)
}

// discard is a ResponseWriter to nowhere.
type discard struct {
	h      http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }

// whole is this package over a cache in memory, logging to nowhere.
func whole(b *testing.B, kept *grading.Record) http.Handler {
	b.Helper()
	keys, err := NewKeys(clearKey)
	require.NoError(b, err)
	s, err := New(Config{
		Grader:  remembering{kept: kept, key: sha256.Sum256([]byte("x"))},
		Library: library(b),
		Keys:    keys,
		Log:     slog.New(slog.NewJSONHandler(io.Discard, nil)),
		Observe: func(Exchange) {},
	})
	require.NoError(b, err)
	return s
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
			defer conn.Close()
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

// bigRecord is a grade whose JSON has about size bytes.
func bigRecord(b *testing.B, size int) *grading.Record {
	b.Helper()
	g, err := record(judge.Usage{}).Grade()
	require.NoError(b, err)
	big := *g
	for {
		r, err := grading.NewRecord(big, true, nil)
		require.NoError(b, err)
		if len(r.JSON()) >= size {
			return r
		}
		big.Criteria = append(slices.Clone(big.Criteria), big.Criteria[0])
	}
}

// remembering finds one grade as the real service does: by a digest of all that
// could change it.
type remembering struct {
	kept *grading.Record
	key  [sha256.Size]byte
}

func (r remembering) Grade(_ context.Context, req grading.Request) (grading.Result, error) {
	h := sha256.New()
	for _, part := range []string{req.Tenant, req.Question.Ref, req.Question.Digest(), req.Judge, req.Answer} {
		_, _ = io.WriteString(h, part)
	}
	var sum [sha256.Size]byte
	if h.Sum(sum[:0]); sum == r.key {
		return grading.Result{}, grading.ErrNotFound
	}
	return grading.Result{Record: r.kept, Source: grading.Hit}, nil
}

func (r remembering) Find(context.Context, grading.Key) (*grading.Record, error) { return r.kept, nil }

func (r remembering) Forget(context.Context, grading.Key) error { return nil }
