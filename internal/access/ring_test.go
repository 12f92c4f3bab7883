package access

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// shelf is a Store in memory that can stop answering.
type shelf struct {
	mu    sync.Mutex
	keys  map[string]Key
	down  bool
	hold  chan struct{} // not nil: looks wait for it
	looks int
	used  map[string]time.Time
}

func newShelf(keys ...Key) *shelf {
	s := &shelf{keys: map[string]Key{}, used: map[string]time.Time{}}
	for _, k := range keys {
		s.keys[k.ID] = k
	}
	return s
}

var errDown = errors.New("connection refused")

func (s *shelf) FindKey(_ context.Context, id string) (Key, error) {
	s.mu.Lock()
	hold := s.hold
	s.looks++
	s.mu.Unlock()
	if hold != nil {
		<-hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return Key{}, errDown
	}
	key, ok := s.keys[id]
	if !ok {
		return Key{}, ErrUnknown
	}
	return key, nil
}

func (s *shelf) AnyKey(context.Context) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return false, errDown
	}
	return len(s.keys) > 0, nil
}

func (s *shelf) TouchKeys(_ context.Context, used map[string]time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errDown
	}
	maps.Copy(s.used, used)
	return nil
}

func (s *shelf) change(fn func(*shelf)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn(s)
}

func (s *shelf) looked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.looks
}

// find is Find with an error in place of a key.
func find(r *Ring, clear string) error {
	_, err := r.Find(context.Background(), clear)
	return err
}

func TestAStoredKeyIsLookedUpNowAndThenOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clear, key := New()
		key.Tenant = "acme"
		s := newShelf(key)
		r := NewRing(RingConfig{Store: s})
		for range 10_000 {
			found, err := r.Find(t.Context(), clear)
			require.NoError(t, err)
			require.Equal(t, "acme", found.Tenant)
		}
		require.Equal(t, 1, s.looked())
		for range 60 {
			time.Sleep(time.Second)
			require.NoError(t, find(r, clear))
			synctest.Wait()
		}
		require.LessOrEqual(t, s.looked(), 31)
	})
}

// API2:2023. The promise is five seconds everywhere; what is left of it is for
// the look itself.
func TestARevokedKeyOpensNothingAfterFourSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clear, key := New()
		s := newShelf(key)
		r := NewRing(RingConfig{Store: s})
		for range 3 { // whatever came before
			require.NoError(t, find(r, clear))
			time.Sleep(1500 * time.Millisecond)
		}
		key.Revoked = time.Now()
		s.change(func(s *shelf) { s.keys[key.ID] = key })
		time.Sleep(stale)
		require.ErrorIs(t, find(r, clear), ErrRevoked)

		s.change(func(s *shelf) { delete(s.keys, key.ID) })
		time.Sleep(stale)
		require.ErrorIs(t, find(r, clear), ErrUnknown, "a record erased by hand is no key either")
	})
}

func TestAnExpiredKeyNeedsNoLook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clear, key := New()
		key.Expires = time.Now().Add(time.Second)
		r := NewRing(RingConfig{Store: newShelf(key)})
		require.NoError(t, find(r, clear))
		time.Sleep(time.Second)
		require.ErrorIs(t, find(r, clear), ErrExpired)
	})
}

func TestUnknownKeysAreRememberedWithinBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clear, _ := New()
		s := newShelf()
		r := NewRing(RingConfig{Store: s, Required: true})
		for range 1000 {
			require.ErrorIs(t, find(r, clear), ErrUnknown)
		}
		require.Equal(t, 1, s.looked())
		require.ErrorIs(t, find(r, clear[:51]+"-"), ErrUnknown)
		require.ErrorIs(t, find(r, "anything"), ErrUnknown)
		require.Equal(t, 1, s.looked(), "what is no key of ours is not looked for")
		for range mostUnknown + 100 {
			other, _ := New()
			require.ErrorIs(t, find(r, other), ErrUnknown)
		}
		require.LessOrEqual(t, len(r.unknown), mostUnknown)
		require.Empty(t, r.asking)
		require.Empty(t, r.held)
	})
}

func TestWhileTheStoreIsAwayKnownKeysGoOnForAWhileAndOthersAreNotDenied(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clear, key := New()
		stranger, _ := New()
		s := newShelf(key)
		r := NewRing(RingConfig{Store: s})
		require.NoError(t, find(r, clear))
		s.change(func(s *shelf) { s.down = true })
		began := time.Now()
		for time.Since(began) < grace-time.Second {
			require.NoError(t, find(r, clear))
			require.ErrorIs(t, find(r, stranger), ErrUnavailable, "nobody can say that it is not valid")
			time.Sleep(100 * time.Millisecond)
		}
		require.Less(t, s.looked(), 2*int(grace/backOff), "it is left alone in between")
		time.Sleep(2 * time.Second)
		require.ErrorIs(t, find(r, clear), ErrUnavailable)

		s.change(func(s *shelf) { s.down = false })
		time.Sleep(backOff)
		require.NoError(t, find(r, clear))
		require.ErrorIs(t, find(r, stranger), ErrUnknown)
	})
}

func TestManyWhoAskAtOnceAreOneLook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clear, key := New()
		s := newShelf(key)
		s.hold = make(chan struct{})
		r := NewRing(RingConfig{Store: s})
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { require.NoError(t, find(r, clear)) })
		}
		gone, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			_, err := r.Find(gone, clear)
			require.ErrorIs(t, err, context.Canceled, "whoever leaves does not take the look along")
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(s.hold)
		wg.Wait()
		require.Equal(t, 1, s.looked())
	})
}

func TestInventedKeysDoNotUseUpTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		s.hold = make(chan struct{})
		r := NewRing(RingConfig{Store: s, Required: true})
		var wg sync.WaitGroup
		for range 100 {
			invented, _ := New()
			wg.Go(func() { require.ErrorIs(t, find(r, invented), ErrUnknown) })
		}
		synctest.Wait()
		require.Equal(t, mostLooks, s.looked())
		close(s.hold)
		wg.Wait()
		require.Equal(t, 100, s.looked())
	})
}

func TestAnotherKeyOfTheSameIDIsNotBelieved(t *testing.T) {
	t.Parallel()
	clear, key := New()
	key.Digest[31]++
	r := NewRing(RingConfig{Store: newShelf(key)})
	require.ErrorIs(t, find(r, clear), ErrUnknown)
}

func TestTheFirstStoredKeyGuardsTheDoorForGood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, locked := newShelf(), 0
		r := NewRing(RingConfig{Store: s, Locked: func() { locked++ }})
		require.NoError(t, r.Ask(t.Context()))
		require.False(t, r.Guarded())
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go r.Watch(ctx)
		clear, key := New()
		s.change(func(s *shelf) { s.keys[key.ID] = key })
		time.Sleep(fresh)
		synctest.Wait()
		require.True(t, r.Guarded())
		require.NoError(t, find(r, clear))

		s.change(func(s *shelf) { s.down = true })
		time.Sleep(time.Minute)
		require.True(t, r.Guarded())
		require.Equal(t, 1, locked)
	})
	require.True(t, NewRing(RingConfig{Required: true}).Guarded())
	require.False(t, NewRing(RingConfig{}).Guarded())
	configured, err := ParseConfigured("a-clear-key-of-thirty-two-letters")
	require.NoError(t, err)
	require.True(t, NewRing(RingConfig{Configured: []Key{configured}}).Guarded())

	s := newShelf()
	s.down = true
	require.ErrorIs(t, NewRing(RingConfig{Store: s}).Ask(t.Context()), ErrUnavailable)
}

func TestTheTimeOfLastUseReachesTheStoreOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clear, key := New()
		s := newShelf(key)
		r := NewRing(RingConfig{Store: s})
		ctx, stop := context.WithCancel(t.Context())
		go r.Watch(ctx)
		first := time.Now()
		for range 50 {
			require.NoError(t, find(r, clear))
			time.Sleep(time.Second)
		}
		require.Equal(t, map[string]time.Time{key.ID: first}, s.used)
		s.change(func(s *shelf) { s.down = true })
		time.Sleep(15 * time.Second)
		require.NoError(t, find(r, clear))
		second := time.Now()
		time.Sleep(5 * time.Second)
		s.change(func(s *shelf) { s.down = false })
		stop()
		synctest.Wait()
		require.Equal(t, second, s.used[key.ID], "noted when it ends at the latest")
	})
}
