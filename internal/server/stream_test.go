package server

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/batch"
)

func TestResultsInEveryFormat(t *testing.T) {
	t.Parallel()
	d, p := bureau(t)
	b := d.submit("?detail=nudge", threeLines, ndjson)
	path := "/v1/batches/" + b.ID + "/results"
	require.Empty(t, d.results(b.ID, ""), "none yet")
	p.finish(t, b.ID, func(i batch.Item) *batch.Result {
		if i.ID == "b" {
			return &batch.Result{Status: batch.RowFailed, Reason: batch.ReasonExpired}
		}
		return graded(i)
	})
	list := d.results(b.ID, "")
	require.Len(t, list, 3)
	require.Empty(t, list[0].Grade.Feedback.Improvements[0].Starter, "at the detail of the batch")
	require.Nil(t, list[1].Grade)
	require.ErrorIs(t, list[1].Error, api.ItemExpired)
	require.Equal(t, fmt.Sprintf("urn:gradus:batch:%s:1", b.ID), list[1].Error.Instance)
	require.Equal(t, list, d.results(b.ID, "?wait=1"))
	require.Equal(t, list[1:], d.results(b.ID, "?from=1"))

	for _, tt := range []struct{ query, accept, media string }{
		{"", "", "application/x-ndjson"}, {"", "*/*", "application/x-ndjson"}, {"", "text/html,application/xhtml+xml,*/*;q=0.8", "application/x-ndjson"},
		{"", "application/json", "application/json"}, {"", "text/csv", "text/csv"}, {"", "application/json;q=0.5, text/csv;q=0.9", "text/csv"},
		{"?format=json", "text/csv", "application/json"}, {"?format=csv", "", "text/csv"}, {"?format=ndjson", "text/csv", "application/x-ndjson"},
	} {
		r := d.get(path+tt.query, "Accept: "+tt.accept)
		media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
		require.Equal(t, tt.media, media, "%+v", tt)
		switch media {
		case "application/json":
			var all []api.ResultRow
			require.NoError(t, json.Unmarshal(r.body, &all))
			require.Equal(t, list, all)
		case "text/csv":
			table, err := csv.NewReader(strings.NewReader(string(r.body))).ReadAll()
			require.NoError(t, err)
			require.Len(t, table, 4)
			require.Contains(t, r.Header.Get("Content-Disposition"), b.ID+".csv")
		}
		head := d.send("HEAD", path+tt.query, "", "Accept: "+tt.accept)
		require.Equal(t, r.Header.Get("Content-Type"), head.Header.Get("Content-Type"))
	}
	for _, query := range []string{"?format=xml", "?wait=x", "?from=-1", "?from=x"} {
		require.Equal(t, api.InvalidRequest.Type, problem(t, d.get(path+query)).Type)
	}
}

func TestEveryReasonIsAProblem(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]api.ProblemType{
		batch.ReasonExpired: api.ItemExpired, batch.ReasonWorkerCrash: api.WorkerCrash, batch.ReasonCostLimit: api.CostLimit,
		batch.ReasonAnswerTooLong: api.AnswerTooLong, batch.ReasonRejected: api.ModelRejected, batch.ReasonNoModel: api.NoModel,
		batch.ReasonInternal: api.Internal, batch.ReasonCancelled: api.ItemCancelled, "model-timeout": api.ModelTimeout, "unheard-of": api.Internal,
	} {
		got := reasonOf(batch.Key{Tenant: "t", ID: "ba_x"}, &batch.Result{Index: 3, Reason: reason})
		require.ErrorIs(t, got, want)
		require.NotEmpty(t, got.Detail)
	}
}

// event is one server-sent event.
type event struct{ id, name, data string }

// events reads a stream of events until it ends.
func readEvents(r io.Reader, each func(event)) error {
	scan := bufio.NewScanner(r)
	scan.Buffer(nil, 1<<20)
	var e event
	for scan.Scan() {
		field, value, _ := strings.Cut(scan.Text(), ": ")
		switch field {
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data = value
		case "":
			if e.name != "" {
				each(e)
			}
			e = event{}
		}
	}
	return scan.Err()
}

func TestEventsFollowABatchToItsEnd(t *testing.T) {
	t.Parallel()
	d, p := bureau(t)
	b := d.submit("", threeLines, ndjson)
	path := "/v1/batches/" + b.ID + "/events"
	resp, err := http.Get(d.url + path)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	var seen []event
	last := int64(-1)
	require.NoError(t, readEvents(resp.Body, func(e event) {
		id, err := strconv.ParseInt(e.id, 10, 64)
		require.NoError(t, err)
		require.Greater(t, id, last, "ids grow")
		last = id
		if seen = append(seen, e); len(seen) == 1 {
			require.Equal(t, api.EventProgress, e.name)
			p.finish(t, b.ID, graded)
		}
	}))
	end := seen[len(seen)-1]
	require.Equal(t, api.EventDone, end.name)
	var over api.Batch
	require.NoError(t, json.Unmarshal([]byte(end.data), &over))
	require.Equal(t, api.BatchCompleted, over.Status)
	require.Equal(t, 3, over.Graded)

	r := d.get(path, "Last-Event-ID: "+seen[0].id)
	var rest []event
	require.NoError(t, readEvents(strings.NewReader(string(r.body)), func(e event) { rest = append(rest, e) }))
	require.Equal(t, []event{end}, rest, "what was seen is not sent again")
	require.Equal(t, http.StatusNoContent, d.get(path, "Last-Event-ID: "+end.id).StatusCode, "an EventSource stays away then")
	require.Equal(t, http.StatusOK, d.get(path, "Last-Event-ID: x").StatusCode)
	require.Equal(t, http.StatusOK, d.send("HEAD", path, "").StatusCode)
}

func TestEventsPingAndEndWhenTheServiceDoes(t *testing.T) {
	t.Parallel()
	d, _ := bureau(t)
	d.server.times.ping = 10 * time.Millisecond
	b := d.submit("", threeLines, ndjson)
	resp, err := http.Get(d.url + "/v1/batches/" + b.ID + "/events")
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	var names []string
	done := make(chan error, 1)
	require.NoError(t, readEvents(resp.Body, func(e event) {
		if names = append(names, e.name); len(names) == 3 {
			go func() { done <- d.server.Shutdown(context.Background()) }()
		}
	}), "it ends as a reply should")
	require.NoError(t, <-done)
	require.Equal(t, []string{"progress", "ping", "ping"}, names[:3])
	require.NotContains(t, d.log.String(), "request failed")
}

func TestResultsAreFollowedInOrder(t *testing.T) {
	t.Parallel()
	d, p := bureau(t)
	b := d.submit("", threeLines, ndjson)
	client, err := api.NewClient(d.url, "", nil)
	require.NoError(t, err)
	only := func(ids string) {
		p.finish(t, b.ID, func(i batch.Item) *batch.Result {
			if strings.Contains(ids, i.ID) {
				return graded(i)
			}
			return nil
		})
	}
	only("a c")
	var got []string
	for row, err := range client.Results(t.Context(), b.ID, true) {
		require.NoError(t, err)
		if got = append(got, row.ID); row.ID == "a" {
			require.Len(t, d.results(b.ID, ""), 2, "without waiting, what there is")
			only("b")
		}
	}
	require.Equal(t, []string{"a", "b", "c"}, got)
}

func TestResultsThatEndEarlyDoNotLookComplete(t *testing.T) {
	t.Parallel()
	d, p := bureau(t)
	b := d.submit("", threeLines, ndjson)
	p.finish(t, b.ID, func(i batch.Item) *batch.Result {
		if i.ID == "a" {
			return graded(i)
		}
		return nil
	})
	resp, err := http.Get(d.url + "/v1/batches/" + b.ID + "/results?wait=1")
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	in := bufio.NewReader(resp.Body)
	_, err = in.ReadString('\n')
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- d.server.Shutdown(context.Background()) }()
	_, err = in.ReadString('\n')
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NoError(t, <-done)

	d, p = bureau(t)
	b = d.submit("", threeLines, ndjson)
	p.store.FailWith(func(method string) error {
		if method == "Results" {
			return errors.New("store: " + secret)
		}
		return nil
	})
	r := d.get("/v1/batches/" + b.ID + "/results")
	require.Equal(t, api.Internal.Type, problem(t, r).Type, "before anything is sent it is a problem")
	require.Contains(t, d.log.String(), `"msg":"request failed"`)
}

func TestAReaderThatTakesNothingIsCutOff(t *testing.T) {
	t.Parallel()
	done := make(chan Exchange, 10)
	d, p := bureau(t, func(c *Config) { c.Observe = func(e Exchange) { done <- e } })
	d.server.times.write = 200 * time.Millisecond
	lines := strings.Builder{}
	for i := range 3000 {
		fmt.Fprintf(&lines, `{"id":"i%d","question_id":"platform/on-call","answer":"x"}`+"\n", i)
	}
	b := d.submit("", lines.String(), ndjson)
	<-done
	big := []byte(`{"status":"graded","feedback":{"summary":"` + strings.Repeat("x", 10_000) + `"}}`)
	p.finish(t, b.ID, func(batch.Item) *batch.Result { return &batch.Result{Status: batch.RowGraded, Grade: big} })
	conn, err := net.Dial("tcp", strings.TrimPrefix(d.url, "http://"))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "GET /v1/batches/%s/results HTTP/1.1\r\nHost: x\r\n\r\n", b.ID)
	require.NoError(t, err)
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("30 MB wait for a reader that takes none")
	}
}
