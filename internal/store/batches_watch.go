package store

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gradus-ai/gradus/internal/batch"
)

const (
	// longPoll is how long Changed waits for a change.
	longPoll = 3 * time.Second
	// pollEvery is how often the versions of watched batches are looked at, all
	// in one round trip, however many watch.
	pollEvery = 100 * time.Millisecond
)

// watch looks after the batches that somebody waits for. It looks for changes
// rather than being told of them: nothing that was published can be missed, and
// a Redis that allows no publishing will do.
type watch struct {
	batches *Batches

	mu      sync.Mutex
	watched map[batch.Key]*watched
	running bool
	rounds  uint64        // begun
	hurry   chan struct{} // has room for one
}

// watched is one batch and what was last seen of it.
type watched struct {
	waiting int
	round   uint64 // when it was looked at, by number
	rec     *batch.Batch
	err     error
	asking  bool          // somebody wants to hear of the next round, changed or not
	news    chan struct{} // closed when there is some
}

func (w *watch) init(b *Batches) {
	w.batches, w.watched, w.hurry = b, make(map[batch.Key]*watched), make(chan struct{}, 1)
}

// Changed implements batch.Store. A change by this process is seen at once, one
// by another within a tenth of a second.
func (b *Batches) Changed(ctx context.Context, key batch.Key, seen int64) (*batch.Batch, error) {
	late := time.NewTimer(longPoll)
	defer late.Stop()
	w := &b.watch
	at, need := w.join(key, seen)
	defer w.leave(key)
	for {
		w.mu.Lock()
		rec, err, news := at.rec, at.err, at.news
		fresh := at.round >= need
		w.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case fresh && err != nil:
			return nil, err
		case (fresh && rec.Version != seen) || (rec != nil && rec.Version > seen):
			return clone(rec), nil
		}
		select {
		case <-news:
		case <-late.C:
			if !fresh {
				return nil, fmt.Errorf("watching batch %s: %w", key.ID, ErrUnavailable)
			}
			return clone(rec), nil
		case <-ctx.Done():
		case <-b.store.ctx.Done():
			return nil, fmt.Errorf("watching batch %s: %w: the store is closed", key.ID, ErrUnavailable)
		}
	}
}

func clone(rec *batch.Batch) *batch.Batch {
	own := *rec
	return &own
}

// join adds somebody who waits, and says from which round on what is seen is
// news to them: the last, when that has the version they know.
func (w *watch) join(key batch.Key, seen int64) (*watched, uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.watched[key]
	if at == nil {
		at = &watched{news: make(chan struct{})}
		w.watched[key] = at
	}
	at.waiting++
	if !w.running {
		w.running = true
		w.batches.store.spawn(w.run)
	}
	if at.rec != nil && at.err == nil && at.rec.Version == seen {
		return at, at.round
	}
	at.asking = true
	w.hasten()
	return at, w.rounds + 1
}

func (w *watch) leave(key batch.Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.watched[key]
	if at.waiting--; at.waiting == 0 {
		delete(w.watched, key)
	}
}

// kick makes a change by this process be seen at once.
func (w *watch) kick(key batch.Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watched[key] != nil {
		w.hasten()
	}
}

func (w *watch) hasten() {
	select {
	case w.hurry <- struct{}{}:
	default:
	}
}

// run looks at what is watched until nobody watches, or the store closes.
func (w *watch) run() {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	ctx := w.batches.store.ctx
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-w.hurry:
		}
		w.mu.Lock()
		if len(w.watched) == 0 {
			w.running = false
			w.mu.Unlock()
			return
		}
		w.rounds++
		round := w.rounds
		known := make(map[batch.Key]int64, len(w.watched))
		for key, at := range w.watched {
			known[key] = 0
			if at.rec != nil && at.err == nil {
				known[key] = at.rec.Version
			}
		}
		w.mu.Unlock()
		w.look(ctx, round, known)
	}
}

// look reads the batches whose version is not the known one.
func (w *watch) look(ctx context.Context, round uint64, known map[batch.Key]int64) {
	limited, cancel := w.batches.limit(ctx)
	defer cancel()
	versions := make(map[batch.Key]*redis.StringCmd, len(known))
	pipe := w.batches.redis.Pipeline()
	for key := range known {
		versions[key] = pipe.HGet(limited, w.batches.store.keys.batch(key)[0], fieldVersion)
	}
	_, _ = pipe.Exec(limited) // each command is looked at below
	for key, version := range versions {
		if version.Err() == nil && version.Val() == strconv.FormatInt(known[key], 10) {
			w.tell(round, key, nil, nil)
			continue
		}
		rec, err := w.batches.Get(limited, key)
		w.tell(round, key, rec, err)
	}
}

// tell notes what a round has seen of a batch; neither is nothing new.
func (w *watch) tell(round uint64, key batch.Key, rec *batch.Batch, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.watched[key]
	if at == nil {
		return
	}
	at.round = round
	changed := rec != nil || err != nil
	if changed {
		at.rec, at.err = rec, err
	}
	if changed || at.asking {
		at.asking = false
		close(at.news)
		at.news = make(chan struct{})
	}
}
