package server

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/batch/batchtest"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
)

// press is the real service of batches over a store made of maps, with nobody at
// work: tests end items themselves.
type press struct {
	*batch.Service
	store *batchtest.Store

	mu    sync.Mutex
	admit error
	kept  map[string]bool // answers with a kept grade
	price *float64        // of one call
}

func newPress(t testing.TB) *press {
	t.Helper()
	p := &press{store: batchtest.NewStore(time.Now), kept: map[string]bool{}}
	var err error
	p.Service, err = batch.New(batch.Config{
		Store: p.store, Queue: noQueue{}, Kept: p, Log: slog.New(slog.DiscardHandler),
		Versions: func(j string) (batch.Versions, error) {
			switch j {
			case api.JudgeLexical:
				return batch.Versions{Judge: grading.Lexical}, nil
			case api.JudgeModel: // asked for by name there is none
				return batch.Versions{}, grading.ErrNoModel
			default:
				return batch.Versions{Judge: grading.Model}, nil
			}
		},
		Admit: func(context.Context) (bool, error) { p.mu.Lock(); defer p.mu.Unlock(); return true, p.admit },
	})
	require.NoError(t, err)
	return p
}

// Kept, Forget and Estimate make a press what a batch asks about grades.
func (p *press) Kept(_ context.Context, req grading.Request) bool { return p.kept[req.Answer] }

// Forget implements batch.Kept.
func (p *press) Forget(context.Context, grading.Key) error { return nil }

// Estimate implements batch.Kept.
func (p *press) Estimate(grading.Request, bool) (judge.Usage, error) {
	return judge.Usage{Calls: 1, PromptTokens: 1000, CostUSD: p.price}, nil
}

type noQueue struct{}

func (noQueue) Enqueue(context.Context, ...batch.Ref) error                     { return nil }
func (noQueue) EnqueueAfter(context.Context, time.Duration, ...batch.Ref) error { return nil }
func (noQueue) Known(context.Context, batch.Ref) (bool, error)                  { return true, nil }
func (noQueue) Delivered(context.Context) ([]batch.Ref, error)                  { return nil, nil }
func (noQueue) Drop(context.Context, ...batch.Ref) error                        { return nil }

// finish ends items of a batch, as end says; those for which it says nothing
// stay pending.
func (p *press) finish(t testing.TB, id string, end func(batch.Item) *batch.Result) {
	t.Helper()
	ctx := context.Background()
	chunks, err := p.store.Chunks(ctx, batch.Key{Tenant: "local", ID: id})
	require.NoError(t, err)
	for _, chunk := range chunks {
		claim, err := p.store.Claim(ctx, chunk.Ref, "worker")
		require.NoError(t, err)
		var results []batch.Result
		for _, item := range claim.Chunk.Items {
			if r := end(item); r != nil && !claim.Done[item.Index] {
				r.Index, r.ID = item.Index, item.ID
				results = append(results, *r)
			}
		}
		_, err = p.store.Complete(ctx, claim, results, true)
		require.NoError(t, err)
	}
}

func graded(batch.Item) *batch.Result {
	return &batch.Result{Status: batch.RowGraded, Grade: record(judge.Usage{}).JSON(), GradeID: someGrade}
}

// bureau is a door with a press behind it.
func bureau(t *testing.T, change ...func(*Config)) (*door, *press) {
	t.Helper()
	p := newPress(t)
	return open(t, append([]func(*Config){func(c *Config) { c.Batches = p }}, change...)...), p
}

const threeLines = `{"id":"a","question_id":"platform/on-call","answer":"one"}
{"id":"b","question_id":"platform/on-call","answer":"two"}
{"id":"c","question_id":"platform/mistake","answer":""}
`

// fortyLines are more than a chunk: some are staged while others arrive.
func fortyLines() string {
	var b strings.Builder
	for i := range 40 {
		fmt.Fprintf(&b, `{"id":"i%d","question_id":"platform/on-call","answer":"x"}`+"\n", i)
	}
	return b.String()
}

const ndjson = "Content-Type: application/x-ndjson"

// submit sends an upload that must be accepted.
func (d *door) submit(query, body string, headers ...string) *api.Batch {
	d.Helper()
	r := d.send("POST", "/v1/batches"+query, body, headers...)
	require.Equal(d, http.StatusAccepted, r.StatusCode, "%s", r.body)
	var b api.Batch
	require.NoError(d, json.Unmarshal(r.body, &b))
	require.Equal(d, "/v1/batches/"+b.ID, r.Header.Get("Location"))
	return &b
}

func (d *door) results(id, query string) []api.ResultRow {
	d.Helper()
	r := d.get("/v1/batches/" + id + "/results" + query)
	require.Equal(d, http.StatusOK, r.StatusCode, "%s", r.body)
	var list []api.ResultRow
	for line := range strings.Lines(string(r.body)) {
		var row api.ResultRow
		require.NoError(d, json.Unmarshal([]byte(line), &row), line)
		list = append(list, row)
	}
	return list
}
