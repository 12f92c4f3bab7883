package llm

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"
)

// LimitConfig shapes a Limit. The zero value of a field is its default.
type LimitConfig struct {
	// Max is the most calls in flight. Default 16.
	Max int
	// Patience is the longest that a call without a deadline stands in line
	// while the endpoint wants to be left alone. Default one minute.
	Patience time.Duration
	// Observer hears when the number of slots changes.
	Observer Observer
}

// Limit bounds the calls in flight and finds out how many an endpoint bears.
// Callers wait in line, first come, first served.
//
// It starts at Max. A rate limit takes some of the slots away, once for all the
// calls that were under way together; what is answered gives slots back,
// quickly up to where it last went wrong, then one a round (additive increase,
// multiplicative decrease). When more calls in a row are refused than are under
// way, the line is held for as long as the endpoint asked. An endpoint that
// counts calls by the second is also kept to a pace. When the breaker below has
// opened, the line starts again with one slot, so that an endpoint which
// returns meets a ramp and not a herd.
type Limit struct {
	next Completer
	cfg  LimitConfig

	mu       sync.Mutex
	line     []*place
	inFlight int
	slots    float64
	ceiling  float64 // where a rate limit was last met
	round    int     // calls of an earlier round have had their say
	refused  int     // rate limits since the last answer
	pace     pacer
	held     time.Time
	timer    *time.Timer // wakes the line; nil when none is set
}

// place is a caller's place in line.
type place struct {
	ready chan struct{} // closed when the caller has a slot
	round int           // set with it
}

// What a rate limit and an answer do to the slots.
const (
	decrease  = 0.85
	nearLimit = 0.9 // of the ceiling: from here on slots come back one a round
)

// NewLimit wraps next.
func NewLimit(next Completer, cfg LimitConfig) *Limit {
	if cfg.Max <= 0 {
		cfg.Max = 16
	}
	cfg.Patience = cmp.Or(cfg.Patience, defaultPatience)
	return &Limit{next: next, cfg: cfg, slots: float64(cfg.Max), ceiling: float64(cfg.Max)}
}

// Models returns the models of the completer underneath.
func (l *Limit) Models() []string { return l.next.Models() }

// Complete waits for a slot and asks. It returns the context's error when that
// ends in line, and a *RateLimitError at once when the endpoint wants to be
// left alone for longer than the deadline allows.
func (l *Limit) Complete(ctx context.Context, req Request) (*Reply, error) {
	round, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	failed := errors.New("panicked") // unless it returns
	defer func() { l.leave(round, failed) }()
	reply, err := l.next.Complete(ctx, req)
	failed = err
	return reply, err
}

func (l *Limit) enter(ctx context.Context) (round int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	// Refused here, not in line: behind a probe that hangs the line would hang.
	var refused error
	if b, ok := l.next.(*Breaker); ok {
		refused = b.refuses()
	}
	l.mu.Lock()
	if refused != nil {
		l.restart()
		l.mu.Unlock()
		return 0, refused
	}
	if wait := time.Until(l.held); wait > 0 && !fits(ctx, wait, 0, l.cfg.Patience) {
		l.mu.Unlock()
		return 0, &RateLimitError{RetryAfter: wait}
	}
	p := &place{ready: make(chan struct{})}
	l.line = append(l.line, p)
	l.admit()
	l.mu.Unlock()

	select {
	case <-p.ready:
		return p.round, nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-p.ready: // the slot came while the caller was leaving
		l.inFlight--
	default:
		l.drop(p)
	}
	l.admit()
	return 0, ctx.Err()
}

// admit gives free slots to the front of the line. The caller holds mu.
func (l *Limit) admit() {
	for len(l.line) > 0 && l.inFlight < int(l.slots) {
		now := time.Now()
		if wait := max(l.held.Sub(now), l.pace.free.Sub(now)); wait > 0 {
			if l.timer == nil {
				l.timer = time.AfterFunc(wait, l.wake)
			}
			return
		}
		l.pace.took(now)
		p := l.line[0]
		l.line[0] = nil
		l.line = l.line[1:]
		l.inFlight++
		p.round = l.round
		close(p.ready)
	}
}

// wake lets the line go on, or wait again where its wait was lengthened.
func (l *Limit) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = nil
	l.admit()
}

func (l *Limit) drop(gone *place) {
	for i, p := range l.line {
		if p == gone {
			l.line = append(l.line[:i], l.line[i+1:]...)
			return
		}
	}
}

// leave gives the slot back and learns from how the call ended.
func (l *Limit) leave(round int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var limited *RateLimitError
	var open *OpenError
	switch {
	case err == nil:
		l.refused = 0
		l.pace.answered(time.Now())
		l.grow()
	case errors.As(err, &open):
		l.restart()
	case errors.As(err, &limited):
		l.shrink(round, limited.RetryAfter)
	}
	l.inFlight--
	l.admit()
}

// set changes the number of slots. The observer is told under the lock, so
// that what it hears last is true.
func (l *Limit) set(slots float64) {
	before := int(l.slots)
	l.slots = max(1, min(slots, float64(l.cfg.Max)))
	if int(l.slots) != before {
		l.cfg.Observer.slots(nameOf(l.next), int(l.slots))
	}
}

// restart begins the ramp for when the breaker closes.
func (l *Limit) restart() {
	if l.slots > 1 {
		l.round++
		l.set(1)
	}
}

// grow is one answer's worth of slots. Slots that nobody uses prove nothing
// and do not grow.
func (l *Limit) grow() {
	if l.inFlight < int(l.slots) {
		return
	}
	step := 1 / l.slots // one a round
	if l.slots < nearLimit*l.ceiling {
		step = 1 // doubles every round
	}
	l.set(l.slots + step)
}

// shrink draws the conclusions of a rate limit. Others under way speak for the
// endpoint: one refusal among them is that call's own affair (it asks for many
// tokens, say), more in a row than are under way are everybody's.
func (l *Limit) shrink(round int, hold time.Duration) {
	now := time.Now()
	l.pace.limited(now)
	l.refused++
	others := l.inFlight - 1
	swamped := l.refused > max(1, others)
	if until := now.Add(hold); swamped && until.After(l.held) {
		l.held = until
	}
	if round != l.round {
		// Calls that were under way together count once; but of a wave that is
		// mostly refused, those still under way are what the endpoint bears.
		if swamped {
			l.set(min(l.slots, float64(others)))
		}
		return
	}
	l.round++
	// Slots that were not in use did no harm; cutting them would do no good.
	used := min(l.slots, float64(l.inFlight))
	l.ceiling = max(1, used)
	l.set(used * decrease)
}
