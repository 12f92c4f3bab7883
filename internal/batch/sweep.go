package batch

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// sweep finds the chunks of a batch that nobody will work on and hands them out:
// those that were never enqueued, those whose worker has died, before it claimed
// them or after, and those that the queue has lost, of which it asks once they
// are as old as age.
func (k *Keeper) sweep(ctx context.Context, key Key, age time.Duration) error {
	states, err := k.cfg.Store.Chunks(ctx, key)
	if err != nil {
		return k.away(err)
	}
	var out, seen []Ref
	asked := 0
	for _, state := range states {
		ref, wanted := state.Ref, false
		switch {
		case state.Claimed:
			if !state.Expired || k.cfg.Now().Before(k.hold) {
				continue
			}
			ref, wanted, err = k.reclaim(ctx, ref)
		case state.EnqueuedAt.IsZero():
			wanted = true
		case k.stranded[ref]:
			ref, wanted, err = k.reclaim(ctx, ref)
		case state.Age >= age && asked < askedAtOnce:
			asked++
			var known bool
			if known, err = k.cfg.Queue.Known(ctx, ref); err != nil {
				return fmt.Errorf("ask the queue: %w", err)
			}
			if known {
				seen = append(seen, ref)
				continue
			}
			ref, wanted, err = k.reclaim(ctx, ref)
		}
		if err != nil {
			return err
		}
		if wanted {
			out = append(out, ref)
		}
	}
	if len(seen) > 0 { // and not asked about again for a while
		if err := k.cfg.Store.Enqueued(ctx, seen...); err != nil {
			return k.away(err)
		}
	}
	return k.away(handOut(ctx, k.cfg.Store, k.cfg.Queue, out))
}

// reclaim takes a chunk back; false when somebody was quicker.
func (k *Keeper) reclaim(ctx context.Context, ref Ref) (Ref, bool, error) {
	again, err := k.cfg.Store.Reclaim(ctx, ref)
	switch {
	case errors.Is(err, ErrLost):
		return Ref{}, false, nil
	case err != nil:
		return Ref{}, false, k.away(err)
	}
	k.cfg.Log.InfoContext(ctx, "took a chunk back", "batch", ref.ID, "chunk", ref.Chunk)
	return again, true, nil
}

// probe sends the first free chunk of a batch that was paused ahead of the
// others: what it waited for may not be there yet.
func (k *Keeper) probe(ctx context.Context, b *Batch) error {
	states, err := k.cfg.Store.Chunks(ctx, b.Key)
	if err != nil {
		return k.away(err)
	}
	now, err := k.cfg.Store.Get(ctx, b.Key) // resuming was a change as well
	if err != nil {
		return k.away(err)
	}
	k.probes[b.Key] = probe{version: now.Version, since: k.cfg.Now()}
	for _, state := range states {
		if state.Claimed {
			continue
		}
		ref := state.Ref
		if !state.EnqueuedAt.IsZero() {
			known, err := k.cfg.Queue.Known(ctx, ref)
			if err != nil {
				return fmt.Errorf("ask the queue: %w", err)
			}
			if known {
				return nil // it is on its way
			}
			var free bool
			if ref, free, err = k.reclaim(ctx, ref); err != nil {
				return err
			} else if !free {
				continue
			}
		}
		return k.away(handOut(ctx, k.cfg.Store, k.cfg.Queue, []Ref{ref}))
	}
	return nil
}

// expire fails what is left of a batch whose time is over. Chunks that a worker
// holds are left to it: it will find the same.
func (k *Keeper) expire(ctx context.Context, b *Batch) error {
	if b.Status == Paused {
		if err := k.cfg.Store.Resume(ctx, b.Key); err != nil {
			return k.away(err)
		}
	}
	states, err := k.cfg.Store.Chunks(ctx, b.Key)
	if err != nil {
		return k.away(err)
	}
	for _, state := range states {
		ref := state.Ref
		if state.Claimed {
			if !state.Expired || k.cfg.Now().Before(k.hold) {
				continue
			}
			var free bool
			if ref, free, err = k.reclaim(ctx, ref); err != nil {
				return err
			} else if !free {
				continue
			}
		}
		if err := k.expireChunk(ctx, ref); err != nil && !errors.Is(err, ErrLost) {
			return k.away(err)
		}
	}
	return nil
}

func (k *Keeper) expireChunk(ctx context.Context, ref Ref) error {
	claim, err := k.cfg.Store.Claim(ctx, ref, k.cfg.Process)
	if err != nil {
		return err
	}
	var results []Result
	for _, item := range claim.Chunk.Items {
		if !claim.Done[item.Index] {
			results = append(results, failure(item, ReasonExpired))
		}
	}
	_, err = k.cfg.Store.Complete(ctx, claim, results, true)
	return err
}
