package access

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Store is where keys are kept for all processes.
type Store interface {
	// FindKey returns what is stored under an id, or ErrUnknown. Any other
	// error means that it could not be asked.
	FindKey(ctx context.Context, id string) (Key, error)
	// AnyKey reports whether a key was ever stored, revoked ones included.
	AnyKey(ctx context.Context) (bool, error)
	// TouchKeys notes when keys were last used.
	TouchKeys(ctx context.Context, used map[string]time.Time) error
}

const (
	// A key that the store vouched for is believed without another look for
	// fresh; from then until stale it is believed while the store is asked
	// again. So a revoked key opens nothing after stale and one look, where the
	// store answers.
	fresh = 2 * time.Second
	stale = 4 * time.Second
	// grace is how long a key goes on to open the door while the store does
	// not answer.
	grace = 5 * time.Minute
	// backOff is how long a store that did not answer is left alone.
	backOff = time.Second
	// lookFor bounds one look, should the store not.
	lookFor = 2 * time.Second
	// mostLooks run at once, so that invented keys cannot use up the store's
	// connections.
	mostLooks = 16
	// mostUnknown keys are remembered as unknown, about 100 bytes each.
	mostUnknown = 4096
	// touchEvery is how exact the time of last use is.
	touchEvery = time.Minute
)

// RingConfig is what a Ring is made of.
type RingConfig struct {
	// Configured are keys that need no store.
	Configured []Key
	// Store holds the others; nil: there are no others.
	Store Store
	// Required guards the door even while no key is known to exist.
	Required bool
	// Locked, where set, is called when the first stored key is found and the
	// door is guarded from then on.
	Locked func()
	// Now is the clock. nil means time.Now.
	Now func() time.Time
}

// Ring knows which keys open the door. It is safe for concurrent use.
type Ring struct {
	cfg     RingConfig
	now     func() time.Time
	guarded atomic.Bool
	looks   chan struct{}

	mu      sync.RWMutex
	held    map[Digest]*held     // keys that are or were stored
	unknown map[Digest]time.Time // keys that were not, and when that was said
	asking  map[Digest]chan struct{}
	failed  time.Time            // when the store last did not answer
	used    map[string]time.Time // not yet noted in the store
}

// held is a key that the store vouched for.
type held struct {
	key *Key
	at  time.Time // when
	// touched is when the use of the key was last noted, in Unix nanoseconds.
	touched atomic.Int64
}

// NewRing makes a Ring. One without any keys is open until Watch or Ask finds
// that a key is stored.
func NewRing(cfg RingConfig) *Ring {
	r := &Ring{
		cfg: cfg, now: cfg.Now, looks: make(chan struct{}, mostLooks),
		held: map[Digest]*held{}, unknown: map[Digest]time.Time{}, asking: map[Digest]chan struct{}{}, used: map[string]time.Time{},
	}
	if r.now == nil {
		r.now = time.Now
	}
	r.guarded.Store(cfg.Required || len(cfg.Configured) > 0)
	return r
}

// Guarded reports whether a key is needed. It never goes back to false: the
// record of a key outlives its revocation, so that revoking the last one does
// not open the door.
func (r *Ring) Guarded() bool { return r.guarded.Load() }

// Ask finds out whether keys are stored, and guards the door if so.
func (r *Ring) Ask(ctx context.Context) error {
	if r.cfg.Store == nil || r.Guarded() {
		return nil
	}
	stored, err := r.cfg.Store.AnyKey(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if stored && r.guarded.CompareAndSwap(false, true) && r.cfg.Locked != nil {
		r.cfg.Locked()
	}
	return nil
}

// Watch keeps asking whether keys are stored by now, and notes in the store
// when keys were used, until the context ends.
func (r *Ring) Watch(ctx context.Context) {
	if r.cfg.Store == nil {
		return
	}
	ticker := time.NewTicker(fresh)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			// What was used last is worth one more try.
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), backOff)
			defer cancel()
			r.touch(last)
			return
		case <-ticker.C:
			_ = r.Ask(ctx) // a store that does not answer is asked again
			r.touch(ctx)
		}
	}
}

// touch notes what was used since. What cannot be noted is tried again.
func (r *Ring) touch(ctx context.Context) {
	r.mu.Lock()
	used := r.used
	r.used = map[string]time.Time{}
	r.mu.Unlock()
	if len(used) == 0 || r.cfg.Store.TouchKeys(ctx, used) == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, at := range used {
		if at.After(r.used[id]) {
			r.used[id] = at
		}
	}
}

// Find returns the key of a clear text. Errors are ErrUnknown, ErrExpired,
// ErrRevoked, ErrUnavailable, or the context's. The key is shared and must not
// be changed.
//
// While the store does not answer, a key that was seen within the last minutes
// goes on to be found and one that was not is ErrUnavailable: nobody can say
// that it is not valid.
func (r *Ring) Find(ctx context.Context, clear string) (*Key, error) {
	digest := Hash(clear)
	// All are compared, so that the time does not say which it was.
	found := -1
	for i := range r.cfg.Configured {
		if subtle.ConstantTimeCompare(digest[:], r.cfg.Configured[i].Digest[:]) == 1 {
			found = i
		}
	}
	if found >= 0 {
		return &r.cfg.Configured[found], nil
	}
	if r.cfg.Store == nil {
		return nil, ErrUnknown
	}
	return r.stored(ctx, digest, clear)
}

// stored finds a key that is, if anywhere, in the store.
func (r *Ring) stored(ctx context.Context, digest Digest, clear string) (*Key, error) {
	now := r.now()
	r.mu.RLock()
	h, known := r.held[digest]
	var age time.Duration
	if known {
		age = now.Sub(h.at)
	}
	denied, refused := r.unknown[digest]
	down := now.Sub(r.failed) < backOff
	r.mu.RUnlock()

	switch {
	case known && age < fresh:
	case known && down && age < grace:
	case known && age < stale:
		r.look(digest) // nobody waits for it
	case !known && !Genuine(clear): // nobody needs to look for it
		return nil, ErrUnknown
	case !known && refused && now.Sub(denied) < fresh:
		return nil, ErrUnknown
	case down:
		return nil, ErrUnavailable
	default:
		var err error
		if h, err = r.await(ctx, digest); err != nil {
			return nil, err
		}
	}
	if err := h.key.Valid(now); err != nil {
		return nil, err
	}
	r.note(h, now)
	return h.key, nil
}

// await looks and waits for what is found.
func (r *Ring) await(ctx context.Context, digest Digest) (*held, error) {
	select {
	case <-r.look(digest):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	h, known := r.held[digest]
	switch {
	case known && r.now().Sub(h.at) < grace:
		return h, nil
	case !known && r.now().Sub(r.unknown[digest]) < stale:
		return nil, ErrUnknown
	}
	return nil, ErrUnavailable
}

// look asks the store for a key. What it returns is closed when that is done.
func (r *Ring) look(digest Digest) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if done, running := r.asking[digest]; running {
		return done
	}
	done := make(chan struct{})
	r.asking[digest] = done
	go func() {
		defer close(done)
		r.looks <- struct{}{}
		defer func() { <-r.looks }()
		// The look is shared: it does not end with the request that began it.
		ctx, cancel := context.WithTimeout(context.Background(), lookFor)
		defer cancel()
		asked := r.now()
		key, err := r.cfg.Store.FindKey(ctx, digest.ID())
		if err == nil && subtle.ConstantTimeCompare(key.Digest[:], digest[:]) != 1 {
			err = ErrUnknown // another key of the same id
		}
		r.learn(digest, &key, err, asked)
	}()
	return done
}

// learn remembers what the store said of a key when it was asked.
func (r *Ring) learn(digest Digest, key *Key, err error, asked time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.asking, digest)
	switch {
	case err == nil:
		h := &held{key: key, at: asked}
		if old := r.held[digest]; old != nil {
			h.touched.Store(old.touched.Load())
		}
		r.held[digest] = h
		delete(r.unknown, digest)
	case errors.Is(err, ErrUnknown):
		delete(r.held, digest)
		if len(r.unknown) >= mostUnknown {
			clear(r.unknown)
		}
		r.unknown[digest] = asked
	default:
		r.failed = r.now()
	}
}

// note remembers that a key was used, once in touchEvery.
func (r *Ring) note(h *held, now time.Time) {
	last := h.touched.Load()
	if now.UnixNano()-last < int64(touchEvery) || !h.touched.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used[h.key.ID] = now
}
