package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/queue"
	"github.com/gradus-ai/gradus/internal/webhook"
)

const (
	// noticesEvery is how often somebody looks for batches whose submitter is
	// still to be told, and noticesLease how long it then is nobody else's turn.
	noticesEvery = time.Second
	noticesLease = 5 * time.Second
	// noticesAtOnce is how many are sent at a time; the sender sees to it that
	// one slow receiver does not take them all.
	noticesAtOnce = 8
)

// notifier tells submitters that their batches are over. Whom it has to tell is
// in the store until they have been told, or given up; the queue keeps the time
// between attempts.
type notifier struct {
	app     *App
	store   batch.Store
	queue   *queue.Queue
	sender  *webhook.Sender
	process string
}

// notice is the message: what became of the batch, and nothing of its answers.
type notice struct {
	Type      string     `json:"type"` // batch.completed or batch.cancelled
	Timestamp time.Time  `json:"timestamp"`
	Data      noticeData `json:"data"`
}

type noticeData struct {
	ID          string `json:"id"`
	Status      string `json:"status"`
	Total       int    `json:"total"`
	Graded      int    `json:"graded"`
	NeedsReview int    `json:"needs_review"`
	Failed      int    `json:"failed"`
	Cancelled   int    `json:"cancelled"`
	Results     string `json:"results"` // path on this service
}

// laterError asks the queue to come again.
type laterError struct {
	wait  time.Duration
	cause error
}

func (e *laterError) Error() string { return e.cause.Error() }
func (e *laterError) Unwrap() error { return e.cause }

// later is what a handler's error asks of the queue.
func later(err error) (time.Duration, bool) {
	var l *laterError
	if errors.As(err, &l) {
		return l.wait, true
	}
	return 0, false
}

// run hands notices to the queue until the context ends.
func (n *notifier) run(ctx context.Context) {
	ticker := time.NewTicker(noticesEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := n.pump(ctx); err != nil && ctx.Err() == nil {
				n.app.log.WarnContext(ctx, "looking for notices to send", "error", err)
			}
		}
	}
}

func (n *notifier) pump(ctx context.Context) error {
	leads, err := n.store.Lead(ctx, "notices", n.process, noticesLease)
	if err != nil || !leads {
		return err
	}
	due, err := n.store.Notices(ctx)
	if err != nil {
		return fmt.Errorf("list notices: %w", err)
	}
	for _, key := range due {
		if err := n.queue.Notify(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// handle makes one attempt at a notice, after a number of failed ones.
func (n *notifier) handle(ctx context.Context, key batch.Key, failed int) error {
	b, err := n.store.Get(ctx, key)
	switch {
	case errors.Is(err, batch.ErrNotFound): // erased meanwhile
		return n.store.Noticed(ctx, key)
	case err != nil:
		return fmt.Errorf("read batch %s: %w", key.ID, err)
	case !b.Status.Over() || b.FinishedAt == nil:
		return nil
	}
	err = n.sender.Send(ctx, b.Options.WebhookURL, b.ID, notice{
		Type: "batch." + string(b.Status), Timestamp: b.FinishedAt.UTC(),
		Data: noticeData{
			ID: b.ID, Status: string(b.Status), Total: b.Total, Graded: b.Graded, NeedsReview: b.NeedsReview,
			Failed: b.Failed, Cancelled: b.Cancelled, Results: "/v1/batches/" + b.ID + "/results",
		},
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	n.app.metrics.noticed(err)
	if err == nil {
		return n.store.Noticed(ctx, key)
	}
	wait, again := webhook.Wait(failed+1, err)
	if !again {
		n.app.log.WarnContext(ctx, "giving up telling a submitter", "batch", key.ID, "attempts", failed+1, "error", err)
		return n.store.Noticed(ctx, key)
	}
	n.app.log.InfoContext(ctx, "a submitter could not be told yet", "batch", key.ID, "attempts", failed+1, "again_in", wait.Round(time.Second).String(), "error", err)
	return &laterError{wait, err}
}
