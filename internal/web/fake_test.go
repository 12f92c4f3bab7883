package web_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
)

// clerk answers for batches before a real service, which grades: a batch here
// goes as fast as the test says, so that something can happen in its middle.
type clerk struct {
	t       *testing.T
	service http.Handler
	client  *api.Client

	mu      sync.Mutex
	changed chan struct{} // closed and made anew with every change
	batch   api.Batch
	items   []api.BatchItem
	rows    []api.ResultRow
	purged  bool
	known   map[string]api.Grade // by answer
	upload  string               // the query of the last upload that was meant
}

// slowly puts a clerk before the service at base and returns its address.
func slowly(t *testing.T, base string) (string, *clerk) {
	t.Helper()
	target, err := url.Parse(base)
	require.NoError(t, err)
	client, err := api.NewClient(base, "", nil)
	require.NoError(t, err)
	c := &clerk{t: t, service: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}, client: client, changed: make(chan struct{}), known: map[string]api.Grade{}}
	mux := http.NewServeMux()
	mux.Handle("/", c.service)
	mux.HandleFunc("POST /v1/batches", c.take)
	mux.HandleFunc("GET /v1/batches/{id}", c.show)
	mux.HandleFunc("DELETE /v1/batches/{id}", c.end)
	mux.HandleFunc("GET /v1/batches/{id}/events", c.events)
	mux.HandleFunc("GET /v1/batches/{id}/results", c.results)
	ts := httptest.NewServer(mux)
	t.Cleanup(func() {
		ts.CloseClientConnections()
		ts.Close()
	})
	return ts.URL, c
}

func (c *clerk) reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	if status >= 400 {
		w.Header().Set("Content-Type", api.ProblemMedia)
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (c *clerk) take(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	query := r.URL.Query()
	var items []api.BatchItem
	faults := []api.Fault{}
	add := func(line int, item api.BatchItem) {
		switch {
		case item.ID == "":
			faults = append(faults, api.Fault{Line: line, Pointer: "/id", Detail: "is missing"})
		case item.QuestionID == "" && query.Get("question_id") == "":
			faults = append(faults, api.Fault{Line: line, Pointer: "/question_id", Detail: "is missing, and the batch names no question"})
		default:
			if item.QuestionID == "" {
				item.QuestionID = query.Get("question_id")
			}
			items = append(items, item)
		}
	}
	if r.Header.Get("Content-Type") == "text/csv" {
		reader := csv.NewReader(bytes.NewReader(body))
		head, err := reader.Read()
		if err != nil {
			c.reply(w, 400, api.Problem{Type: api.MalformedBody.Type, Title: api.MalformedBody.Title, Status: 400, Detail: "The file is empty."})
			return
		}
		for {
			row, err := reader.Read()
			if err != nil {
				break
			}
			line, _ := reader.FieldPos(0)
			var item api.BatchItem
			for i, name := range head {
				switch name {
				case "id":
					item.ID = row[i]
				case "question_id":
					item.QuestionID = row[i]
				case "answer":
					item.Answer = row[i]
				}
			}
			add(line, item)
		}
	} else {
		lines := bufio.NewScanner(bytes.NewReader(body))
		lines.Buffer(nil, 1<<20)
		for n := 1; lines.Scan(); n++ {
			var item api.BatchItem
			if err := json.Unmarshal(lines.Bytes(), &item); err != nil {
				faults = append(faults, api.Fault{Line: n, Detail: "is not JSON"})
				continue
			}
			add(n, item)
		}
	}
	if query.Has("dry_run") {
		c.reply(w, 200, api.BatchEstimate{Items: len(items), Distinct: len(items), Skipped: len(faults), Errors: faults})
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.items, c.upload = items, r.URL.RawQuery
	c.batch = api.Batch{ID: "ba_test", Status: api.BatchRunning, Total: len(items), Pending: len(items), CreatedAt: time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)}
	c.reply(w, 202, c.batch)
}

// work grades the next n items, the last of the upload first, as a service need
// not keep to its order; the last one to be graded ends the batch. A row whose
// answer is "fail" fails, one that says "doubt" needs a review.
func (c *clerk) work(n int) {
	c.t.Helper()
	for range n {
		c.mu.Lock()
		i := len(c.items) - len(c.rows) - 1
		item := c.items[i]
		c.mu.Unlock()
		row := api.ResultRow{Index: i, ID: item.ID, Status: api.RowGraded}
		if item.Answer == "fail" {
			row.Status, row.Error = api.RowFailed, &api.Problem{Type: api.ModelTimeout.Type, Title: api.ModelTimeout.Title, Status: 504, Detail: "The grade was not ready within the time limit."}
		} else {
			known, ok := c.known[item.Answer]
			if !ok {
				graded, err := c.client.Grade(c.t.Context(), api.GradeRequest{QuestionID: item.QuestionID, Answer: item.Answer})
				require.NoError(c.t, err)
				known, c.known[item.Answer] = *graded, *graded
			}
			grade := &known
			row.Grade = grade
			if strings.Contains(item.Answer, "doubt") {
				row.Status, grade.Status = api.RowNeedsReview, api.NeedsReview
				grade.Review = api.Review{Needed: true, Reasons: []string{"low_confidence"}}
			}
		}
		c.mu.Lock()
		c.rows = append([]api.ResultRow{row}, c.rows...)
		switch row.Status {
		case api.RowFailed:
			c.batch.Failed++
		case api.RowNeedsReview:
			c.batch.NeedsReview++
		default:
			c.batch.Graded++
		}
		c.batch.Pending--
		if c.batch.Pending == 0 {
			c.batch.Status = api.BatchCompleted
		}
		c.tell()
		c.mu.Unlock()
	}
}

// tell wakes who follows the batch; c.mu is held.
func (c *clerk) tell() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *clerk) show(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.purged || r.PathValue("id") != c.batch.ID {
		c.reply(w, 404, api.Problem{Type: "/problems/unknown-batch", Title: "There is no such batch", Status: 404})
		return
	}
	c.reply(w, 200, c.batch)
}

func (c *clerk) end(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.batch.Over() {
		c.batch.Status, c.batch.Cancelled, c.batch.Pending = api.BatchCancelled, c.batch.Pending, 0
		var rest []api.ResultRow
		for i, item := range c.items[:len(c.items)-len(c.rows)] {
			rest = append(rest, api.ResultRow{Index: i, ID: item.ID, Status: api.RowCancelled})
		}
		c.rows = append(rest, c.rows...)
	}
	c.purged = r.URL.Query().Has("purge")
	c.tell()
	c.reply(w, 200, c.batch)
}

// follow calls each time something has changed, until it says that this is all.
func (c *clerk) follow(ctx context.Context, each func() bool) {
	for {
		c.mu.Lock()
		over, changed := each(), c.changed
		c.mu.Unlock()
		if over {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

func (c *clerk) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	n := 0
	c.follow(r.Context(), func() bool {
		name := api.EventProgress
		if c.batch.Over() {
			name = api.EventDone
		}
		n++
		data, _ := json.Marshal(c.batch)
		_, _ = fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", n, name, data)
		w.(http.Flusher).Flush()
		return c.batch.Over()
	})
}

// results gives the rows there are, in the order of the upload.
func (c *clerk) results(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	from, err := strconv.Atoi(r.URL.Query().Get("from"))
	if err != nil {
		from = 0
	}
	c.mu.Lock()
	rows := slices.Clone(c.rows)
	c.mu.Unlock()
	for _, row := range rows {
		if row.Index >= from {
			_ = json.NewEncoder(w).Encode(row)
		}
	}
}

// failure is how a service fails to grade: with a problem, by cutting the
// connection, or late. The zero value does not.
type failure struct {
	status int
	wait   string // as Retry-After
	kind   api.ProblemType
	cut    bool
	late   bool // later than what a browser counts as the outcome of a click: 500 ms
}

// failing puts before the service at base one that fails to grade as it is told,
// and returns its address.
func failing(t *testing.T, base string) (address string, fails func(failure)) {
	t.Helper()
	target, err := url.Parse(base)
	require.NoError(t, err)
	service := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	var now atomic.Pointer[failure]
	now.Store(&failure{})
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := now.Load()
		switch {
		case r.URL.Path != "/v1/grades" || *f == (failure{}):
			service.ServeHTTP(w, r)
		case f.late:
			<-time.After(750 * time.Millisecond)
			service.ServeHTTP(w, r)
		case f.cut:
			panic(http.ErrAbortHandler)
		default:
			w.Header().Set("Content-Type", api.ProblemMedia)
			w.Header().Set("Retry-After", f.wait)
			w.WriteHeader(f.status)
			_ = json.NewEncoder(w).Encode(api.Problem{Type: f.kind.Type, Title: f.kind.Title, Status: f.status})
		}
	}))
	t.Cleanup(ts.Close)
	return ts.URL, func(f failure) { now.Store(&f) }
}
