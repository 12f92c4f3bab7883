package llm

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"
)

// BreakerConfig shapes a Breaker. The zero value of a field is its default.
type BreakerConfig struct {
	// Consecutive faults open the breaker, if no more calls than that are still
	// under way. Default 5.
	Consecutive int
	// Ratio of faults among the calls of the last Window opens it, once there
	// are Minimum. Defaults: one half of 20 calls within 30 s.
	Ratio   float64
	Minimum int
	Window  time.Duration
	// CoolDown is how long nothing is asked; it doubles with every probe that
	// fails, up to MaxCoolDown. Defaults 5 s and 30 s. A key that the endpoint
	// does not take waits for MaxCoolDown at once.
	CoolDown, MaxCoolDown time.Duration
	// Slow is how long a call must have run for its caller's deadline to count
	// as the endpoint's fault. Default 30 s.
	Slow time.Duration
	// Observer hears of every change between open and closed.
	Observer Observer
}

// Breaker stops asking an endpoint that fails, so that callers learn of it at
// once and the endpoint can recover.
//
//	closed ── too many faults, or a dead key ──▶ open
//	open   ── cool-down over ──▶ one call probes, the others are still refused
//	probe  ── answered ──▶ closed        probe ── fault ──▶ open, for longer
//
// A fault is an unavailable endpoint or an attempt that timed out. A dead key
// (ErrUnauthorized, ErrQuota) opens at once. A rate limit is not a fault, nor
// is anything that the request itself is to blame for: the endpoint is there.
//
// Calls under way speak for the endpoint until they end. Faults come in at
// once and answers after seconds, so of 200 calls with one fault in twenty the
// first ten to end are all faults, and mean nothing.
type Breaker struct {
	next Completer
	cfg  BreakerConfig

	mu          sync.Mutex
	open        bool
	probing     bool
	until       time.Time     // while open: when a probe may go
	coolDown    time.Duration // of the present or next opening
	cause       error         // what opened it
	era         int           // changes with every opening and closing
	inFlight    int           // calls of this era
	consecutive int
	now, before tally // calls ended in this window and in the one before
	windowEnds  time.Time
}

type tally struct{ calls, faults int }

// NewBreaker wraps next.
func NewBreaker(next Completer, cfg BreakerConfig) *Breaker {
	cfg.Consecutive = cmp.Or(cfg.Consecutive, 5)
	cfg.Ratio = cmp.Or(cfg.Ratio, 0.5)
	cfg.Minimum = cmp.Or(cfg.Minimum, 20)
	cfg.Window = cmp.Or(cfg.Window, 30*time.Second)
	cfg.CoolDown = cmp.Or(cfg.CoolDown, 5*time.Second)
	cfg.MaxCoolDown = max(cfg.CoolDown, cmp.Or(cfg.MaxCoolDown, 30*time.Second))
	cfg.Slow = cmp.Or(cfg.Slow, 30*time.Second)
	return &Breaker{next: next, cfg: cfg, coolDown: cfg.CoolDown}
}

// Models returns the models of the completer underneath.
func (b *Breaker) Models() []string { return b.next.Models() }

// probeRetry is what a caller is told to wait while a probe is under way.
const probeRetry = time.Second

// Complete asks, or returns an *OpenError without asking.
func (b *Breaker) Complete(ctx context.Context, req Request) (reply *Reply, err error) {
	era, err := b.enter()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	out := unclear
	// Deferred, so that a panic below does not keep the probe for ever.
	defer func() { b.leave(era, out, err) }()
	reply, err = b.next.Complete(ctx, req)
	out = b.judge(err, time.Since(began))
	return reply, err
}

// enter lets a call through and tells it the era, or refuses it.
func (b *Breaker) enter() (era int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.refusal(); err != nil {
		return 0, err
	}
	b.probing = b.open
	b.inFlight++
	return b.era, nil
}

// refuses returns what a call would be refused with now; nil when it would be
// let through. It takes nothing.
func (b *Breaker) refuses() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refusal()
}

func (b *Breaker) refusal() error {
	if !b.open {
		return nil
	}
	wait := time.Until(b.until)
	switch {
	case wait > 0:
		return &OpenError{RetryAfter: wait, Cause: b.cause}
	case b.probing:
		return &OpenError{RetryAfter: probeRetry, Cause: b.cause}
	}
	return nil
}

// outcome is what a call says of the endpoint.
type outcome int

const (
	unclear outcome = iota // nothing: the caller left
	healthy                // it answers
	faulty
	deadKey
)

func (b *Breaker) judge(err error, took time.Duration) outcome {
	var unavailable *UnavailableError
	switch {
	case err == nil:
		return healthy
	case errors.Is(err, ErrUnauthorized), errors.Is(err, ErrQuota):
		return deadKey
	case errors.Is(err, ErrTimeout), errors.As(err, &unavailable),
		errors.Is(err, context.DeadlineExceeded) && took >= b.cfg.Slow:
		return faulty
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return unclear
	}
	var limited *RateLimitError
	if errors.As(err, &limited) || errors.Is(err, ErrTooLong) || errors.Is(err, ErrRejected) {
		return healthy
	}
	return unclear
}

// leave draws the conclusions of a call. Calls of an earlier era are late
// news: an answer to a question asked before the outage does not end it.
func (b *Breaker) leave(era int, out outcome, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if era != b.era {
		return
	}
	b.inFlight--
	before := b.open
	if b.open {
		b.afterProbe(out, err)
	} else {
		b.afterCall(out, err)
	}
	if b.open != before { // told under the lock, so that what is heard last is true
		b.cfg.Observer.breaker(nameOf(b.next), b.open)
	}
}

func (b *Breaker) afterProbe(out outcome, err error) {
	b.probing = false
	switch out {
	case healthy:
		b.open, b.cause = false, nil
		b.coolDown = b.cfg.CoolDown
		b.reset()
	case faulty, deadKey:
		b.coolDown = min(2*b.coolDown, b.cfg.MaxCoolDown)
		b.shut(out, err)
	}
}

func (b *Breaker) afterCall(out outcome, err error) {
	if out == unclear {
		return
	}
	b.turnWindow()
	b.now.calls++
	switch out {
	case healthy:
		b.consecutive = 0
	case faulty:
		b.consecutive++
		b.now.faults++
		calls, faults := b.now.calls+b.before.calls+b.inFlight, b.now.faults+b.before.faults
		tooMany := calls >= b.cfg.Minimum && float64(faults) >= b.cfg.Ratio*float64(calls)
		if b.consecutive >= max(b.cfg.Consecutive, b.inFlight) || tooMany {
			b.shut(out, err)
		}
	case deadKey:
		b.shut(out, err)
	}
}

// shut opens the breaker, or keeps it open for another cool-down.
func (b *Breaker) shut(out outcome, err error) {
	if out == deadKey {
		b.coolDown = b.cfg.MaxCoolDown
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = ErrTimeout // one caller's deadline is not the next one's
	}
	b.open, b.cause = true, err
	b.until = time.Now().Add(b.coolDown)
	b.reset()
}

// reset begins an era with a clean slate.
func (b *Breaker) reset() {
	b.era++
	b.inFlight, b.consecutive = 0, 0
	b.now, b.before, b.windowEnds = tally{}, tally{}, time.Time{}
}

// turnWindow forgets calls that ended more than two windows ago.
func (b *Breaker) turnWindow() {
	now := time.Now()
	if now.Before(b.windowEnds) {
		return
	}
	b.before = b.now
	if now.Sub(b.windowEnds) >= b.cfg.Window {
		b.before = tally{}
	}
	b.now = tally{}
	b.windowEnds = now.Add(b.cfg.Window)
}
