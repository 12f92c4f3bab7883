package store

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gradus-ai/gradus/internal/grading"
)

// event tells other processes what happened to a grade. It holds names only.
type event struct {
	origin string
	kind   eventKind
	key    grading.Key
}

type eventKind string

const (
	eventKept      eventKind = "kept"      // made, or replaced
	eventForgotten eventKind = "forgotten" // erased
	eventReleased  eventKind = "released"  // the computation failed or is not kept
)

func (e event) encode() string {
	return strings.Join([]string{e.origin, string(e.kind), e.key.Tenant, e.key.ID}, "\x00")
}

func decodeEvent(s string) (event, bool) {
	parts := strings.Split(s, "\x00")
	if len(parts) != 4 {
		return event{}, false
	}
	return event{parts[0], eventKind(parts[1]), grading.Key{Tenant: parts[2], ID: parts[3]}}, true
}

const (
	// silence is how long the channel may say nothing before it is asked
	// whether it is still there, and how long it then has to answer. Their sum
	// bounds how long a process that was cut off without noticing serves a
	// grade forgotten elsewhere.
	silence = time.Second
	// A lost subscription is renewed after resubscribeFirst, then ever later.
	resubscribeFirst = 50 * time.Millisecond
	resubscribeMost  = 2 * time.Second
)

// listen follows the events of other processes for as long as the store is
// open. Only while it does is the memory cache believed without asking.
func (s *Store) listen() {
	for wait := resubscribeFirst; ; wait = min(2*wait, resubscribeMost) {
		if s.subscribe() {
			wait = resubscribeFirst
		}
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(wait/2 + rand.N(wait/2)):
		}
	}
}

// subscribe follows events until the connection fails or the store closes. It
// reports whether it ever got as far as hearing some.
func (s *Store) subscribe() (heard bool) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	sub := s.shared.Subscribe(ctx, s.keys.events())
	defer func() {
		s.live.Store(false)
		_ = sub.Close() // whatever ended it has been dealt with
	}()
	// A read in progress ends when the connection does.
	stop := context.AfterFunc(ctx, func() { _ = sub.Close() })
	defer stop()

	asked := false
	for {
		message, err := sub.ReceiveTimeout(ctx, silence)
		if err != nil {
			if ctx.Err() != nil || asked || !isTimeout(err) {
				return heard
			}
			if sub.Ping(ctx) != nil {
				return heard
			}
			asked = true
			continue
		}
		asked = false
		switch m := message.(type) {
		case *redis.Subscription:
			// Events may have been missed until now.
			s.forgetMemory()
			s.live.Store(true)
			heard = true
		case *redis.Message:
			s.handle(m.Payload)
		}
	}
}

// handle does what an event asks for.
func (s *Store) handle(payload string) {
	e, ok := decodeEvent(payload)
	if !ok {
		return
	}
	s.changed(e.key, e.origin != s.origin && e.kind != eventReleased)
}

// changed wakes the flights of a key. With drop it also takes the grade from
// the memory cache, and keeps those flights from putting it back.
func (s *Store) changed(key grading.Key, drop bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for m := range modes {
		f := s.flights[flightKey{key, m}]
		if f == nil {
			continue
		}
		f.stale = f.stale || drop
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
	if drop {
		s.memory.drop(key)
	}
}

// forgetMemory empties the memory cache, and keeps flights from putting back
// what they read before.
func (s *Store) forgetMemory() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.flights {
		f.stale = true
	}
	s.memory.clear()
}
