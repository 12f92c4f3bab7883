package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/queue"
	"github.com/gradus-ai/gradus/internal/webhook"
)

const (
	// queueName begins the names of the queues in Redis.
	queueName = "gradus"
	// depthBudget is how long /metrics waits for the length of the queue.
	depthBudget = time.Second
)

// batches is the engine of a service: over Redis, with a keeper and notices.
type batches struct {
	*engine
	app      *App
	queue    *queue.Queue
	keeper   *batch.Keeper
	webhooks *webhook.Sender // nil where no secret is set
}

// newBatches makes the engine over the store's Redis.
func (a *App) newBatches() (*batches, error) {
	client, err := a.store.WorkClient()
	if err != nil {
		return nil, fmt.Errorf("open queue: %w", err)
	}
	a.onClose("queue", client.Close)
	b := &batches{app: a, queue: queue.New(queue.Config{Client: client, Name: queueName, Log: a.log})}
	kept := a.store.Batches()
	if b.engine, err = a.newEngine(kept, b.queue, outcome, kept.Admit); err != nil {
		return nil, err
	}
	if b.keeper, err = batch.NewKeeper(batch.KeeperConfig{
		Store: b.store, Queue: b.queue, Process: b.process, Now: time.Now, Log: a.log,
	}); err != nil {
		return nil, err
	}
	if len(a.cfg.WebhookSecrets) > 0 {
		secrets := make([]string, len(a.cfg.WebhookSecrets))
		for i, s := range a.cfg.WebhookSecrets {
			secrets[i] = s.Reveal()
		}
		if b.webhooks, err = webhook.New(webhook.Config{Secrets: secrets, Lax: a.options.LaxWebhooks}); err != nil {
			return nil, fmt.Errorf("%w: GRADUS_WEBHOOK_SECRET: %w", ErrSetting, err)
		}
	}
	a.metrics.watchQueue(func() (int, int, error) {
		ctx, cancel := context.WithTimeout(context.Background(), depthBudget)
		defer cancel()
		return b.queue.Depth(ctx)
	})
	return b, nil
}

// run works on batches until the context ends, and then for as long as what is
// being graded takes, at most the grace.
func (b *batches) run(ctx context.Context, grace time.Duration) error {
	handlers := queue.Handlers{Chunk: b.worker.Handle, Chunks: max(fewestChunks, chunksAhead*b.judging), Later: later, Grace: grace}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		b.keeper.Run(ctx)
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		b.worker.Drain()
		return nil
	})
	if b.webhooks != nil {
		n := &notifier{app: b.app, store: b.store, queue: b.queue, sender: b.webhooks, process: b.process}
		handlers.Notice, handlers.Notices = n.handle, noticesAtOnce
		group.Go(func() error {
			n.run(ctx)
			return nil
		})
	}
	group.Go(func() error { return b.queue.Work(ctx, handlers) })
	err := group.Wait()
	// Who was cut short by the end of the grace still keeps what is paid for.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainSlack)
	defer cancel()
	err = errors.Join(err, b.worker.Wait(last))
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// checkWebhook says whether an address could be told; nil where nobody can be.
func (b *batches) checkWebhook() func(string) error {
	if b.webhooks == nil {
		return nil
	}
	return b.webhooks.Check
}

// ErrNeedsRedis is returned for what makes no sense within one process.
var ErrNeedsRedis = fmt.Errorf("%w: REDIS_URL is not set", ErrSetting)

// Work grades what others accept into the Redis they share, until the context
// ends; then it finishes what is in flight and closes every part.
func (a *App) Work(ctx context.Context) error {
	defer a.Close()
	if a.cfg.RedisURL == "" {
		return ErrNeedsRedis
	}
	many, err := a.newBatches()
	if err != nil {
		return err
	}
	a.log.Info("working", "judge", a.judgeName(), "models", a.models, "at_once", many.judging)
	a.complain(ctx)
	return many.run(ctx, a.cfg.GradeTimeout+drainSlack)
}
