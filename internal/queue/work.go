package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"github.com/gradus-ai/gradus/internal/batch"
)

// Handlers do the work that the queue brings. A handler that returns nil is
// done with it; any error brings the work again, after the delay that Later
// names or else after a short one. Their context ends only when the time to
// stop has run out, never because the queue has lost sight of the task.
type Handlers struct {
	Chunk func(context.Context, batch.Ref) error
	// Notice is told how many attempts have failed. nil: notices are left to others.
	Notice func(ctx context.Context, key batch.Key, failed int) error
	// Later is how long an error wants to wait; false when it does not say.
	Later func(error) (time.Duration, bool)
	// Chunks is how many are worked on at once of the beginnings of batches, and
	// again of the rest of large ones. Notices is how many are.
	Chunks, Notices int
	// Grace is how long Work waits for what is in progress once it is told to
	// stop.
	Grace time.Duration
}

// How often an idle worker looks for something to do, and how often for work
// whose delay is over. asynq's own defaults, 1 s and 5 s, are far above the
// time that a small batch takes.
const (
	lookEvery      = 40 * time.Millisecond
	lookDelayed    = 250 * time.Millisecond
	lookForNotices = time.Second
)

// crashDelay is how soon work comes again whose worker was lost, as far as the
// queue can tell.
const crashDelay = time.Second

// newerDelay is how long work written by a newer version waits for a worker of
// that version.
const newerDelay = 2 * time.Second

// errNewer says that a payload is of a version that this program does not know.
var errNewer = errors.New("the payload is of a newer version")

// Work brings work to the handlers until the context ends, then waits for what
// is in progress, at most Handlers.Grace. A Redis that does not answer is waited
// for.
func (q *Queue) Work(ctx context.Context, h Handlers) error {
	hard, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	mux := asynq.NewServeMux()
	// asynq ends the context of a handler when it cannot renew its own lease, and
	// then has the work done once more at the same time. Whose work it is says
	// the claim on the chunk, so the handlers are given a context of ours.
	mux.HandleFunc(chunkTask, func(_ context.Context, t *asynq.Task) error {
		p, err := decode(t.Payload())
		if err != nil {
			return err
		}
		return h.Chunk(hard, p.ref())
	})
	// asynq asks one queue after another until one has something, for each task
	// anew: two servers find twice as much with half of the asking.
	servers := []*asynq.Server{
		q.server(h, h.Chunks, lookEvery, q.beginnings()...),
		q.server(h, h.Chunks, lookEvery, q.rests()...),
	}
	if h.Notice != nil {
		mux.HandleFunc(noticeTask, func(ctx context.Context, t *asynq.Task) error {
			p, err := decode(t.Payload())
			if err != nil {
				return err
			}
			failed, _ := asynq.GetRetryCount(ctx) // there is one: the context is asynq's
			return h.Notice(hard, batch.Key{Tenant: p.Tenant, ID: p.Batch}, failed)
		})
		servers = append(servers, q.server(h, h.Notices, lookForNotices, q.notices()))
	}
	for i, s := range servers {
		if err := s.Start(mux); err != nil {
			for _, s := range servers[:i] {
				s.Shutdown()
			}
			return fmt.Errorf("start working: %w", err)
		}
	}
	<-ctx.Done()
	for _, s := range servers {
		s.Stop()
	}
	var ending sync.WaitGroup
	for _, s := range servers {
		ending.Go(s.Shutdown) // at once: together they have the one grace
	}
	ending.Wait()
	return nil
}

// server makes one asynq server over queues that all get their turn.
func (q *Queue) server(h Handlers, concurrency int, look time.Duration, queues ...string) *asynq.Server {
	shares := make(map[string]int, len(queues))
	for _, name := range queues {
		shares[name] = 1
	}
	return asynq.NewServerFromRedisClient(q.cfg.Client, asynq.Config{
		Concurrency:              max(1, concurrency),
		Queues:                   shares,
		TaskCheckInterval:        look,
		DelayedTaskCheckInterval: max(look, lookDelayed),
		ShutdownTimeout:          max(time.Millisecond, h.Grace),
		RetryDelayFunc:           h.delay,
		Logger:                   quiet{q.cfg.Log},
		LogLevel:                 asynq.DebugLevel,
	})
}

// delay is how long work waits that a handler returned an error for.
func (h Handlers) delay(_ int, err error, _ *asynq.Task) time.Duration {
	switch {
	case errors.Is(err, errNewer):
		return newerDelay
	case errors.Is(err, asynq.ErrLeaseExpired):
		return crashDelay
	}
	if h.Later != nil {
		if wait, ok := h.Later(err); ok {
			return wait
		}
	}
	// Spread, so that those who fail together do not come back together.
	return time.Second + time.Duration(rand.Int64N(int64(2*time.Second)))
}

func decode(body []byte) (payload, error) {
	var p payload
	if err := json.Unmarshal(body, &p); err != nil {
		return p, fmt.Errorf("read payload: %w", err)
	}
	if p.Version > payloadVersion {
		return p, fmt.Errorf("%w: %d", errNewer, p.Version)
	}
	return p, nil
}

// quiet passes asynq's log on, most of it as debugging: what goes wrong with the
// work is logged by those who do it.
type quiet struct{ log *slog.Logger }

func (l quiet) Debug(args ...any) { l.log.Debug("queue", "detail", fmt.Sprint(args...)) }
func (l quiet) Info(args ...any)  { l.log.Debug("queue", "detail", fmt.Sprint(args...)) }
func (l quiet) Warn(args ...any)  { l.log.Debug("queue", "detail", fmt.Sprint(args...)) }
func (l quiet) Error(args ...any) { l.log.Warn("queue", "detail", fmt.Sprint(args...)) }

// Fatal does not end the process: only its own main does that.
func (l quiet) Fatal(args ...any) { l.log.Error("queue", "detail", fmt.Sprint(args...)) }
