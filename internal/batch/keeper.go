package batch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

const (
	// keeperEvery is how often a Keeper looks, and keeperLease how long it leads
	// after it has looked. With LeaseTime they say when the chunks of a dead
	// worker run again, even when it led: after 18 seconds at the latest.
	keeperEvery = 4 * time.Second
	keeperLease = 9 * time.Second
	// lostAfter is how long a chunk may lie in the queue before the queue is asked
	// whether it still knows it.
	lostAfter = 2 * time.Minute
	// resumeEvery is how often a paused batch is tried.
	resumeEvery = time.Minute
	// probeTime is how long the first chunk of a batch that was paused runs alone,
	// at most, before the others follow.
	probeTime = 20 * time.Second
	// askedAtOnce bounds how many chunks the queue is asked about in one look.
	askedAtOnce = 500
)

// KeeperConfig is what a Keeper is made of. All of it is required.
type KeeperConfig struct {
	Store Store
	Queue Queue
	// Process tells this process from others that work on the same Store.
	Process string
	Now     func() time.Time
	Log     *slog.Logger
}

// Keeper sees to it that every item of every batch comes to its end whatever
// queue and workers do. Every process runs one; one of them leads.
type Keeper struct {
	cfg KeeperConfig
	// paused holds when each batch that waits was seen to, or last tried;
	// probes those that were resumed just now.
	paused map[Key]time.Time
	probes map[Key]probe
	// delivered is what the queue had given to workers when this process last
	// looked, and stranded what it still had a look later: a chunk among them that
	// nobody has claimed went to a worker that is dead, or as good as dead.
	delivered, stranded map[Ref]bool
	// hold is until when no claim is taken: after the store was away, or this
	// process asleep, leases have run out that their workers will renew.
	hold, looked time.Time
}

// probe is the batch as it was when its first chunk was sent ahead.
type probe struct {
	version int64
	since   time.Time
}

// NewKeeper makes a Keeper.
func NewKeeper(cfg KeeperConfig) (*Keeper, error) {
	if cfg.Store == nil || cfg.Queue == nil || cfg.Process == "" || cfg.Now == nil || cfg.Log == nil {
		return nil, errors.New("a keeper of batches needs a store, a queue, a process name, a clock and a log")
	}
	return &Keeper{cfg: cfg, paused: map[Key]time.Time{}, probes: map[Key]probe{}}, nil
}

// Run looks after batches until ctx ends. Batches that are paused are tried at
// once: the process may have been started with what they wait for.
func (k *Keeper) Run(ctx context.Context) {
	k.guard(ctx, k.resumeAll)
	tick := time.NewTicker(keeperEvery)
	defer tick.Stop()
	for {
		k.guard(ctx, k.look)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// guard runs one look and outlives whatever comes of it.
func (k *Keeper) guard(ctx context.Context, look func(context.Context) error) {
	defer func() {
		if p := recover(); p != nil {
			k.cfg.Log.ErrorContext(ctx, "keeping batches panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	if err := look(ctx); err != nil && ctx.Err() == nil {
		k.cfg.Log.WarnContext(ctx, "keeping batches", "error", err)
	}
}

func (k *Keeper) resumeAll(ctx context.Context) error {
	keys, err := k.cfg.Store.Active(ctx)
	if err != nil {
		return err
	}
	for _, key := range keys {
		b, err := k.cfg.Store.Get(ctx, key)
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return err
		case b.Status == Paused:
			k.paused[key] = k.cfg.Now().Add(-resumeEvery)
			if err := k.cfg.Store.Resume(ctx, key); err != nil {
				return err
			}
		}
	}
	return nil
}

// look goes through all batches once, if this process leads.
func (k *Keeper) look(ctx context.Context) error {
	now := k.cfg.Now()
	if !k.looked.IsZero() && now.Sub(k.looked) > LeaseTime {
		k.hold = now.Add(LeaseTime)
	}
	k.looked = now
	leads, err := k.cfg.Store.Lead(ctx, "keeper", k.cfg.Process, keeperLease)
	if err != nil {
		return k.away(err)
	}
	if !leads {
		k.delivered, k.stranded = nil, nil
		return nil
	}
	keys, err := k.cfg.Store.Active(ctx)
	if err != nil {
		return k.away(err)
	}
	var faults []error
	if err := k.seeDelivered(ctx); err != nil {
		faults = append(faults, err)
	}
	active := make(map[Key]bool, len(keys))
	for _, key := range keys {
		active[key] = true
		if err := k.see(ctx, key); err != nil {
			faults = append(faults, fmt.Errorf("batch %s: %w", key.ID, err))
		}
	}
	for key := range k.paused {
		if !active[key] {
			delete(k.paused, key)
		}
	}
	for key := range k.probes {
		if !active[key] {
			delete(k.probes, key)
		}
	}
	return errors.Join(faults...)
}

// seeDelivered asks the queue what is with workers.
func (k *Keeper) seeDelivered(ctx context.Context) error {
	refs, err := k.cfg.Queue.Delivered(ctx)
	before := k.delivered
	k.delivered, k.stranded = make(map[Ref]bool, len(refs)), map[Ref]bool{}
	if err != nil {
		return fmt.Errorf("ask the queue: %w", err)
	}
	for _, ref := range refs {
		k.delivered[ref] = true
		if before[ref] {
			k.stranded[ref] = true
		}
	}
	return nil
}

// away notes that the store did not answer.
func (k *Keeper) away(err error) error {
	if err != nil && !errors.Is(err, ErrLost) && !errors.Is(err, ErrNotFound) {
		k.hold = k.cfg.Now().Add(LeaseTime)
	}
	return err
}

// see looks after one batch.
func (k *Keeper) see(ctx context.Context, key Key) error {
	b, err := k.cfg.Store.Get(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return k.away(err)
	}
	now := k.cfg.Now()
	switch {
	case b.Status.Over():
		return nil
	case now.Sub(b.CreatedAt) > Deadline:
		return k.expire(ctx, b)
	case b.Status == Paused:
		delete(k.probes, key)
		since, seen := k.paused[key]
		if !seen {
			k.paused[key] = now
			return nil
		}
		if now.Sub(since) < resumeEvery {
			return nil
		}
		if err := k.cfg.Store.Resume(ctx, key); err != nil {
			return k.away(err)
		}
		k.paused[key] = now
		return k.probe(ctx, b)
	}
	if _, was := k.paused[key]; was { // who resumed it need not have been us
		if _, running := k.probes[key]; !running {
			delete(k.paused, key)
			return k.probe(ctx, b)
		}
	}
	if p, running := k.probes[key]; running {
		if b.Version == p.version && now.Sub(p.since) < probeTime {
			return nil
		}
		delete(k.probes, key)
		delete(k.paused, key)
		return k.sweep(ctx, key, 0)
	}
	return k.sweep(ctx, key, lostAfter)
}
