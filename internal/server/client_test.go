package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/batch"
)

// The client of package api speaks to a real server here, so that the two
// cannot drift apart.
func TestClientTakesABatchThroughItsLife(t *testing.T) {
	t.Parallel()
	d, p := bureau(t)
	client, err := api.NewClient(d.url, "", nil)
	require.NoError(t, err)
	ctx := t.Context()
	price, limit := .25, 1.5
	p.price = &price
	options := api.BatchOptions{Judge: api.JudgeLexical, Detail: api.DetailHint, MaxCost: &limit, QuestionID: "platform/on-call", OnError: api.OnErrorSkip, DryRun: true}
	cells := "id,answer\na,one\nb,two\nb,three\n"

	estimate, err := client.EstimateBatch(ctx, strings.NewReader(cells), api.MediaCSV, options)
	require.NoError(t, err)
	require.Equal(t, 2, estimate.Items)
	require.Equal(t, 1, estimate.Skipped)
	require.Equal(t, .5, *estimate.Usage.CostUSD)

	b, err := client.CreateBatch(ctx, strings.NewReader(cells), api.MediaCSV, options, api.IdempotencyKey("k"))
	require.NoError(t, err)
	require.Equal(t, []api.Fault{{Line: 4, Pointer: "/id", Detail: "line 3 has this id already"}}, b.Errors)
	again, err := client.CreateBatch(ctx, strings.NewReader(cells), api.MediaCSV, options, api.IdempotencyKey("k"))
	require.NoError(t, err)
	require.Equal(t, b.ID, again.ID)
	kept, err := p.Get(ctx, batch.Key{Tenant: "local", ID: b.ID})
	require.NoError(t, err)
	require.Equal(t, batch.Options{Judge: "lexical", Detail: "hint", MaxCost: &limit}, kept.Options)

	var names []string
	for e, err := range client.Events(ctx, b.ID, 0) {
		require.NoError(t, err)
		if names = append(names, e.Name); len(names) == 1 {
			require.Equal(t, 2, e.Batch.Pending)
			p.finish(t, b.ID, graded)
		}
		if e.Name == api.EventDone {
			require.True(t, e.Batch.Over())
			for e, err := range client.Events(ctx, b.ID, e.ID) {
				t.Error("there is nothing after the end", e, err)
			}
		}
	}
	require.Equal(t, api.EventDone, names[len(names)-1])

	var rows []api.ResultRow
	for row, err := range client.Results(ctx, b.ID, false) {
		require.NoError(t, err)
		rows = append(rows, row)
	}
	require.Len(t, rows, 2)
	require.Equal(t, "b", rows[1].ID)
	require.Equal(t, 72.5, *rows[1].Grade.Score)

	read, err := client.Batch(ctx, b.ID)
	require.NoError(t, err)
	require.Equal(t, api.BatchCompleted, read.Status)
	cancelled, err := client.CancelBatch(ctx, b.ID)
	require.NoError(t, err)
	require.Equal(t, read, cancelled, "it was over already")
	purged, err := client.PurgeBatch(ctx, b.ID)
	require.NoError(t, err)
	require.Equal(t, read, purged)
	_, err = client.Batch(ctx, b.ID)
	require.ErrorIs(t, err, api.UnknownBatch)
	for _, err := range client.Results(ctx, b.ID, true) {
		require.ErrorIs(t, err, api.UnknownBatch)
	}
	for _, err := range client.Events(ctx, b.ID, 0) {
		require.ErrorIs(t, err, api.UnknownBatch)
	}
	_, err = client.CreateBatch(ctx, strings.NewReader(cells), api.MediaCSV, api.BatchOptions{})
	require.ErrorIs(t, err, api.InvalidRequest)
}

// flaky breaks the first replies of streams after some bytes.
type flaky struct {
	http.RoundTripper
	breaks atomic.Int64
	asked  atomic.Int64
}

func (f *flaky) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := f.RoundTripper.RoundTrip(r)
	stream := strings.HasSuffix(r.URL.Path, "/results") || strings.HasSuffix(r.URL.Path, "/events")
	if err != nil || !stream {
		return resp, err
	}
	f.asked.Add(1)
	if f.breaks.Add(-1) >= 0 {
		resp.Body = &broken{ReadCloser: resp.Body, left: 2000}
	}
	return resp, nil
}

type broken struct {
	io.ReadCloser
	left int
}

func (b *broken) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("connection reset")
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

func TestClientGoesOnWhereAConnectionWasLost(t *testing.T) {
	t.Parallel()
	d, p := bureau(t)
	transport := &flaky{RoundTripper: http.DefaultTransport}
	client, err := api.NewClient(d.url, "", &http.Client{Transport: transport})
	require.NoError(t, err)
	b := d.submit("", threeLines, ndjson)
	p.finish(t, b.ID, graded)

	transport.breaks.Store(3) // each reply breaks in the second row
	var got []int
	for row, err := range client.Results(t.Context(), b.ID, true) {
		require.NoError(t, err)
		got = append(got, row.Index)
	}
	require.Equal(t, []int{0, 1, 2}, got, "each row once")
	require.Greater(t, transport.asked.Load(), int64(1))

	again := d.submit("", threeLines, ndjson)
	stopped := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	transport.breaks.Store(1 << 30)
	seen := int64(0)
	for e, err := range client.Events(ctx, again.ID, 0) {
		if err != nil {
			require.ErrorIs(t, err, context.Canceled)
			break
		}
		require.Greater(t, e.ID, seen, "no event twice")
		seen = e.ID
		switch {
		case e.Batch.Graded == 0:
			p.finish(t, again.ID, graded)
		case e.Name == api.EventDone:
			cancel(stopped)
		}
	}
	require.Positive(t, seen)
	cancel(stopped)
}

func TestClientDoesNotHammerAServiceThatIsNotThere(t *testing.T) {
	t.Parallel()
	d, _ := bureau(t)
	transport := &flaky{RoundTripper: http.DefaultTransport}
	client, err := api.NewClient(strings.Replace(d.url, "127.0.0.1", "127.0.0.1.invalid", 1), "", &http.Client{Transport: transport})
	require.NoError(t, err)
	failures := 0
	for _, err := range client.Results(t.Context(), "ba_x", true) {
		require.Error(t, err)
		failures++
	}
	require.Equal(t, 1, failures)
	require.Zero(t, transport.asked.Load())
}
