package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/batch/batchtest"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// Fault 47: a body without an announced end is refused at the limit.
func TestUploadsAreBounded(t *testing.T) {
	t.Parallel()
	d, p := bureau(t)
	req, err := http.NewRequest(http.MethodPost, d.url+"/v1/batches", http.NoBody)
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-ndjson")
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader("")), api.MaxBatchBody+1
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err == nil {
		require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
		_ = resp.Body.Close()
	}

	endless := &endlessLines{line: []byte(`{"id":"a","question_id":"platform/on-call","answer":"` + strings.Repeat("x", 60_000) + `"}` + "\n")}
	before := alive()
	resp, err = http.Post(d.url+"/v1/batches", "application/x-ndjson", endless)
	if err == nil {
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		_ = resp.Body.Close()
		require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode, "%s", body)
	}
	require.Less(t, endless.given.Load(), int64(api.MaxBatchBody+mostSunk+(16<<20)), "1 GB was coming")
	require.Less(t, alive(), before+(64<<20))
	require.Zero(t, p.store.Calls("Commit"))

	resp, err = http.Post(d.url+"/v1/batches", "application/x-ndjson", strings.NewReader(strings.Repeat("{}\n", api.MaxBatchItems+1)))
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	_ = resp.Body.Close()
	require.Equal(t, api.TooManyItems.Type, problem(t, reply{resp, body}).Type)
}

// endlessLines gives the same line for a gigabyte. The transport may still read
// it when the reply is there.
type endlessLines struct {
	line  []byte
	given atomic.Int64
}

func (e *endlessLines) Read(p []byte) (int, error) {
	given := e.given.Load()
	if given > 1<<30 {
		return 0, io.EOF
	}
	for n := 0; n < len(p); {
		at := int((given + int64(n)) % int64(len(e.line)))
		n += copy(p[n:], e.line[at:])
	}
	e.given.Add(int64(len(p)))
	return len(p), nil
}

func alive() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// raw opens a connection and writes the head of an upload that announces more
// than it sends.
func raw(t *testing.T, d *door, body string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(d.url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "POST /v1/batches HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: 1000000\r\n\r\n%s", body)
	require.NoError(t, err)
	return conn
}

func TestAClientThatGoesInTheMiddleLeavesNothing(t *testing.T) {
	t.Parallel()
	done := make(chan Exchange, 1)
	d, p := bureau(t, func(c *Config) { c.Observe = func(e Exchange) { done <- e } })
	conn := raw(t, d, fortyLines())
	require.Eventually(t, func() bool { return p.store.Calls("Stage") > 0 }, 10*time.Second, time.Millisecond, "rows are staged on the way")
	require.NoError(t, conn.Close())
	<-done
	require.Positive(t, p.store.Calls("Discard"))
	require.Zero(t, p.store.Calls("Commit"))
}

// A client that sends all it has before it listens learns what is wrong, however
// early that was known.
func TestAClientThatSendsOnIsStillAnswered(t *testing.T) {
	t.Parallel()
	d, _ := bureau(t)
	long := strings.Repeat("x", 10<<20)
	for _, tt := range []struct {
		path, media, body string
		kind              api.ProblemType
	}{
		{"/v1/batches", "text/csv", "id,question_id,answer\na,platform/on-call," + long + "\n", api.MalformedBody},
		{"/v1/batches", "text/plain", long, api.UnsupportedMediaType},
		{"/v1/grades", "application/json", `{"question_id":"platform/on-call","answer":"` + long + `"}`, api.BodyTooLarge},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(d.url, "http://"))
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", tt.path, tt.media, len(tt.body), tt.body)
		require.NoError(t, err, tt.path)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err, tt.path)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err, tt.path)
		require.Equal(t, tt.kind.Type, problem(t, reply{resp, body}).Type)
		_ = resp.Body.Close()
		require.NoError(t, conn.Close())
	}
}

// Fault 49: who sends nothing, or takes nothing, is cut off; who is merely slow
// is not.
func TestAStalledUploadIsCutOffAndASlowOneIsNot(t *testing.T) {
	t.Parallel()
	d, _ := bureau(t)
	d.server.times.progress = 100 * time.Millisecond
	conn := raw(t, d, threeLines)
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Contains(t, string(answer), "408 Request Timeout")
	require.Contains(t, string(answer), api.BodyTimeout.Type)

	d, p := bureau(t)
	d.server.times.progress = 2 * time.Second
	r, w := io.Pipe()
	go func() {
		line := `{"id":"i%d","question_id":"platform/on-call","answer":"` + strings.Repeat("x", 19_000) + `"}` + "\n"
		tick := time.NewTicker(30 * time.Millisecond)
		defer tick.Stop()
		for i := range 120 { // 3.6 s in all, 256 KB every 0.4 s
			<-tick.C
			_, _ = fmt.Fprintf(w, line, i)
		}
		_ = w.Close()
	}()
	resp, err := http.Post(d.url+"/v1/batches", "application/x-ndjson", r)
	require.NoError(t, err)
	_ = resp.Body.Close()
	require.Equal(t, http.StatusAccepted, resp.StatusCode)
	require.Equal(t, 1, p.store.Calls("Commit"))
}

func TestUploadsAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	d, _ := bureau(t)
	d.server.uploads.Store(maxUploads)
	r := d.send("POST", "/v1/batches", threeLines, ndjson)
	require.Equal(t, api.Overloaded.Type, problem(t, r).Type)
	d.server.uploads.Store(0)
	d.submit("", threeLines, ndjson)
	require.Zero(t, d.server.uploads.Load())
}

// Fault 73 and P14: fifty thousand rows of one question cost one look at the
// library, and memory does not follow the upload.
func TestFiftyThousandRows(t *testing.T) {
	store := &forgetful{Store: batchtest.NewStore(time.Now)}
	p := newPress(t)
	var err error
	p.Service, err = batch.New(batch.Config{
		Store: store, Queue: noQueue{}, Kept: p, Log: slog.New(slog.DiscardHandler),
		Versions: func(string) (batch.Versions, error) { return batch.Versions{Judge: "lexical"}, nil },
	})
	require.NoError(t, err)
	counted := &countingLibrary{Library: library(t)}
	d := open(t, func(c *Config) { c.Batches, c.Library = p, counted })
	answer := strings.Repeat("I would measure lead time. ", 70)
	question := `{"question":"Why?","criteria":[{"id":"a","statement":"Says why."}]}`
	for name, write := range map[string]func(io.Writer, int){
		"application/x-ndjson": func(w io.Writer, i int) {
			_, _ = fmt.Fprintf(w, `{"id":"item-%d","question":%s,"answer":"%s"}`+"\n", i, question, answer)
		},
		"text/csv": func(w io.Writer, i int) {
			if i == 0 {
				_, _ = io.WriteString(w, "id,question_id,answer\n")
			}
			_, _ = fmt.Fprintf(w, "item-%d,platform/on-call,\"%s\"\n", i, answer)
		},
		"application/json": func(w io.Writer, i int) {
			if i == 0 {
				_, _ = io.WriteString(w, `{"items":[`)
			} else {
				_, _ = io.WriteString(w, ",")
			}
			_, _ = fmt.Fprintf(w, `{"id":"item-%d","question_id":"platform/on-call","answer":"%s"}`, i, answer)
			if i == api.MaxBatchItems-1 {
				_, _ = io.WriteString(w, `]}`)
			}
		},
	} {
		counted.finds = 0
		store.most = 0
		base := alive()
		r, w := io.Pipe()
		go func() {
			buffered := bufio.NewWriterSize(w, 64<<10)
			for i := range api.MaxBatchItems {
				write(buffered, i)
			}
			_ = buffered.Flush()
			_ = w.Close()
		}()
		resp, err := http.Post(d.url+"/v1/batches", name, r)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		_ = resp.Body.Close()
		require.Equal(t, http.StatusAccepted, resp.StatusCode, "%s", body)
		var b api.Batch
		require.NoError(t, json.Unmarshal(body, &b))
		require.Equal(t, api.MaxBatchItems, b.Total)
		require.LessOrEqual(t, counted.finds, 1)
		require.Less(t, store.most, base+(32<<20), name)
		t.Logf("%s: %d MiB above the beginning at most", name, (store.most-min(base, store.most))>>20)
	}
}

// forgetful keeps no chunk, so that what is measured is the way there, and looks
// at the heap from time to time.
type forgetful struct {
	*batchtest.Store
	staged int
	most   uint64
	kept   batch.Batch
}

func (f *forgetful) Stage(context.Context, batch.Key, batch.Chunk) error {
	if f.staged++; f.staged%250 == 0 {
		f.most = max(f.most, alive())
	}
	return nil
}

// Commit keeps the batch without its chunks.
func (f *forgetful) Commit(_ context.Context, b batch.Batch, _ *batch.Reservation, _ string) (*batch.Used, error) {
	f.kept = b
	return nil, nil
}

// Get is that batch.
func (f *forgetful) Get(context.Context, batch.Key) (*batch.Batch, error) { return &f.kept, nil }

// Chunks are none.
func (f *forgetful) Chunks(context.Context, batch.Key) ([]batch.ChunkState, error) { return nil, nil }

// countingLibrary counts look-ups.
type countingLibrary struct {
	Library
	finds int
}

func (l *countingLibrary) Find(ref string) (*rubric.Question, error) {
	l.finds++
	return l.Library.Find(ref)
}
