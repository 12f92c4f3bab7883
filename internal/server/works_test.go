package server

import (
	"context"
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
	"github.com/gradus-ai/gradus/internal/batch/memory"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/store"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

// works is a service with nothing scripted but the verdicts: HTTP in front, a
// store behind, a worker between.
type works struct {
	*door
	client *api.Client
	// work starts the worker.
	work func()
}

func newWorks(t *testing.T, cfg store.Config) *works {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	cfg.Logger = quiet
	kept, err := store.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = kept.Close() })
	grader, err := grading.New(grading.Config{Lexical: sameVerdict{}, Cache: kept, Now: time.Now})
	require.NoError(t, err)
	versions := func(name string) (batch.Versions, error) {
		judge, fingerprint, prompt, err := grader.Versions(name)
		return batch.Versions{Judge: judge, Fingerprint: fingerprint, PromptDigest: prompt}, err
	}
	q := memory.NewQueue()
	service, err := batch.New(batch.Config{Store: kept.Batches(), Queue: q, Kept: grader, Versions: versions, Log: quiet})
	require.NoError(t, err)
	worker, err := batch.NewWorker(batch.WorkerConfig{
		Store: kept.Batches(), Queue: q, Grader: grader, Versions: versions, Estimate: grader.Estimate, Name: "w", Now: time.Now, Log: quiet,
		Classify: func(error) batch.Outcome { return batch.Outcome{Action: batch.Fail, Reason: batch.ReasonInternal} },
	})
	require.NoError(t, err)
	w := &works{door: open(t, func(c *Config) { c.Batches, c.Grader = service, grader })}
	w.client, err = api.NewClient(w.url, "", nil)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { stop(); running.Wait() })
	w.work = func() { running.Go(func() { q.Serve(ctx, 4, worker.Handle) }) }
	return w
}

// TestBatchesFromUploadToErasure takes batches through everything a submitter
// can see, over the store within the process and over a real Redis.
func TestBatchesFromUploadToErasure(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]store.Config{
		"embedded": {},
		"Redis":    {URL: storetest.Shared(t).URL(), Prefix: storetest.Prefix(t)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorks(t, config)
			ctx := t.Context()
			var body strings.Builder
			body.WriteString("id,question_id,answer\n")
			for i := range 100 {
				question := []string{"platform/on-call", "platform/mistake"}[i%2]
				_, _ = fmt.Fprintf(&body, "item-%d,%s,\"In week %d I would delete every alert that nobody ever acts upon.\"\n", i, question, i%80)
			}
			b, err := w.client.CreateBatch(ctx, strings.NewReader(body.String()), api.MediaCSV, api.BatchOptions{Detail: api.DetailNudge}, api.IdempotencyKey("k"))
			require.NoError(t, err)
			require.Equal(t, 100, b.Pending)
			again, err := w.client.CreateBatch(ctx, strings.NewReader(body.String()), api.MediaCSV, api.BatchOptions{Detail: api.DetailNudge}, api.IdempotencyKey("k"))
			require.NoError(t, err)
			require.Equal(t, b.ID, again.ID)
			_, err = w.client.CreateBatch(ctx, strings.NewReader(body.String()), api.MediaCSV, api.BatchOptions{}, api.IdempotencyKey("k"))
			require.ErrorIs(t, err, api.IdempotencyKeyReused)

			w.work()
			next := 0
			for row, err := range w.client.Results(ctx, b.ID, true) {
				require.NoError(t, err)
				require.Equal(t, next, row.Index, "in the order of the upload")
				require.Equal(t, fmt.Sprintf("item-%d", next), row.ID)
				require.Equal(t, api.RowGraded, row.Status, "%+v", row.Error)
				for _, fix := range row.Grade.Feedback.Improvements {
					require.Empty(t, fix.Starter, "at the detail of the batch")
				}
				next++
			}
			require.Equal(t, 100, next)
			var last api.BatchEvent
			for e, err := range w.client.Events(ctx, b.ID, 0) {
				require.NoError(t, err)
				last = e
			}
			require.Equal(t, api.EventDone, last.Name)
			require.Equal(t, 100, last.Batch.Graded+last.Batch.NeedsReview)
			require.GreaterOrEqual(t, last.Batch.Cached, 20, "twenty answers were repeated")

			first := ""
			for row, err := range w.client.Results(ctx, b.ID, false) {
				require.NoError(t, err)
				first = *row.Grade.ID
				break
			}
			_, err = w.client.PurgeBatch(ctx, b.ID)
			require.NoError(t, err)
			_, err = w.client.Batch(ctx, b.ID)
			require.ErrorIs(t, err, api.UnknownBatch)
			_, err = w.client.GetGrade(ctx, first, api.DetailFull)
			require.ErrorIs(t, err, api.UnknownGrade, "the kept grades go with it")
			r := w.send("POST", "/v1/batches?dry_run=1", body.String(), "Content-Type: text/csv")
			require.Equal(t, http.StatusOK, r.StatusCode, "%s", r.body)
			require.Contains(t, string(r.body), `"distinct":80,"cached":0`)
		})
	}
}
