package access

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Why a valid key has to wait.
var (
	ErrRate     = errors.New("too many requests a minute")
	ErrInFlight = errors.New("too many requests in flight")
	ErrTokens   = errors.New("daily tokens spent")
)

// LimitError is one of the errors above and when to come back.
type LimitError struct {
	Err        error
	RetryAfter time.Duration
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%v: come back in %s", e.Err, e.RetryAfter.Round(time.Second))
}

// Unwrap is what was exceeded.
func (e *LimitError) Unwrap() error { return e.Err }

// Quotas share limits between processes. An error means that they could not be
// reached; each call should take a fraction of a second at most.
type Quotas interface {
	// LeaseRequests takes up to want of the limit's requests in this window for
	// one process, fewer as the window runs out.
	LeaseRequests(ctx context.Context, id string, limit, want int, window time.Duration) (Lease, error)
	// HoldSlots says that one process may have up to want requests in flight
	// from now until the end of ttl, and returns how many of them it gets
	// without all processes together exceeding the limit. It replaces what the
	// process held before; 0 gives all back.
	HoldSlots(ctx context.Context, id string, limit, want int, ttl time.Duration) (int, error)
	// SpendTokens adds tokens to what was spent on a day and returns the sum.
	SpendTokens(ctx context.Context, id, day string, tokens int64) (int64, error)
}

// Lease is requests that a process may let in without asking again.
type Lease struct {
	Granted int
	Left    int           // of the limit, for everyone
	Ends    time.Duration // from now, when the window and the lease end
}

const (
	window = time.Minute
	// A process begins with a 16th of the limit and doubles its leases up to a
	// quarter: an idle one keeps little from the others, a busy one asks Redis
	// some twenty times a minute, whatever the limit.
	firstLease, mostLease = 16, 4
	// freeSlots of the limit (an 8th) are never asked for, so that a key with
	// few requests in flight costs no look at Redis. N processes may thus exceed
	// the limit by N-1 eighths.
	freeSlots = 8
	// slotsFor is how long slots outlive a process that died.
	slotsFor = 5 * time.Second
	// inFlightWait is what a request beyond the slots is told to wait.
	inFlightWait = time.Second
	// beat is how often slots are renewed or given back, and tokens added up.
	beat = time.Second
	// tokensFor is how long a sum of tokens is believed.
	tokensFor = 2 * time.Second
)

// Limiter holds keys to their limits. Where several processes share Quotas, the
// limits hold for all together, but for a bounded overshoot; while Quotas do
// not answer, each process holds its own requests to them. It is safe for
// concurrent use.
type Limiter struct {
	defaults Limits
	quotas   Quotas // nil: this process is the only one
	now      func() time.Time

	keys   sync.Map     // id of a key -> *usage
	failed atomic.Int64 // when Quotas last did not answer, in Unix nanoseconds
}

// NewLimiter makes a Limiter. quotas may be nil, now is time.Now if nil.
func NewLimiter(defaults Limits, quotas Quotas, now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}
	return &Limiter{defaults: defaults, quotas: quotas, now: now}
}

// usage is what one key uses in this process.
type usage struct {
	mu sync.Mutex

	// Requests of this window: taken by this process, leased and not taken yet,
	// left for everyone at the last lease.
	ends               time.Time
	taken, spare, left int
	want               int           // how many to lease next
	spent              bool          // nothing is left until ends
	leasing            chan struct{} // not nil while a lease is under way

	// Requests in flight here, the most since the last beat, and how many are
	// held for this process.
	inFlight, peak, slots int
	holding               sync.Mutex // one asks at a time

	// Tokens of a day: the sum for everyone as last heard, at what time, and
	// what was spent here since.
	day     int64 // since 1970, UTC
	tokens  int64
	heard   time.Time
	pending int64
	limits  Limits
}

// Standing is what is left of a key's rate.
type Standing struct {
	Limit, Left int
	Resets      time.Duration
}

func (l *Limiter) of(key *Key) *usage {
	u, known := l.keys.Load(key.ID)
	if !known {
		u, _ = l.keys.LoadOrStore(key.ID, &usage{})
	}
	return u.(*usage)
}

// down reports whether Quotas are better left alone.
func (l *Limiter) down() bool {
	if l.quotas == nil {
		return true
	}
	failed := l.failed.Load()
	return failed != 0 && l.now().UnixNano()-failed < int64(backOff)
}

func (l *Limiter) fail() { l.failed.Store(l.now().UnixNano()) }

// Take lets one request of a key in, or says with a *LimitError (ErrRate) when
// the next one may come. The zero Standing belongs to a key without a limit.
// Errors are that or the context's.
func (l *Limiter) Take(ctx context.Context, key *Key) (Standing, error) {
	limit := key.Limits.Or(l.defaults).Rate
	if limit <= 0 {
		return Standing{}, nil
	}
	u := l.of(key)
	for {
		standing, wait, err := l.take(u, key.ID, limit)
		if wait == nil {
			return standing, err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return Standing{}, ctx.Err()
		}
	}
}

// take takes one request, or returns what to wait for before another try.
func (l *Limiter) take(u *usage, id string, limit int) (Standing, <-chan struct{}, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := l.now()
	if !now.Before(u.ends) {
		u.taken, u.spare, u.left, u.spent, u.want = 0, 0, limit, false, max(1, limit/firstLease)
	}
	switch {
	case u.spare > 0:
	case u.spent:
		return Standing{limit, 0, u.ends.Sub(now)}, nil, &LimitError{ErrRate, u.ends.Sub(now)}
	case u.leasing == nil && l.down():
		u.alone(now, limit)
		if u.spare == 0 {
			u.spent = true
			return Standing{limit, 0, u.ends.Sub(now)}, nil, &LimitError{ErrRate, u.ends.Sub(now)}
		}
	default:
		return Standing{}, l.lease(u, id, limit), nil
	}
	u.spare--
	u.taken++
	if u.spare < u.want/4 && u.left > 0 && !u.spent && !l.down() {
		l.lease(u, id, limit) // nobody waits for it
	}
	return Standing{limit, u.spare + u.left, u.ends.Sub(now)}, nil, nil
}

// alone gives this process the whole limit in a window by its own clock, less
// what it has let in already.
func (u *usage) alone(now time.Time, limit int) {
	if !now.Before(u.ends) {
		u.ends = now.Truncate(window).Add(window)
	}
	u.spare, u.left = max(0, limit-u.taken), 0
}

// lease asks for more requests. What it returns is closed when that is done.
// The caller holds u.mu.
func (l *Limiter) lease(u *usage, id string, limit int) <-chan struct{} {
	if u.leasing != nil {
		return u.leasing
	}
	done := make(chan struct{})
	u.leasing = done
	want := u.want
	go func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(context.Background(), lookFor)
		defer cancel()
		got, err := l.quotas.LeaseRequests(ctx, id, limit, want, window)
		if err != nil {
			l.fail()
		}
		u.mu.Lock()
		defer u.mu.Unlock()
		u.leasing = nil
		if err != nil {
			return // whoever waits finds that this process is on its own
		}
		ends := l.now().Add(got.Ends)
		if ends.Sub(u.ends) > window/2 { // of the next window, and what is spare of the last
			u.taken, u.spare, u.want = 0, 0, want
		}
		u.ends, u.left = ends, got.Left
		u.spare += got.Granted
		u.spent = got.Granted == 0
		u.want = min(2*u.want, max(1, limit/mostLease))
	}()
	return done
}

// Enter counts one request of a key as in flight until Leave, or says with a
// *LimitError that too many are (ErrInFlight) or that the day's tokens are
// spent (ErrTokens).
func (l *Limiter) Enter(ctx context.Context, key *Key) error {
	limits, u := key.Limits.Or(l.defaults), l.of(key)
	if err := l.budget(ctx, u, key.ID, limits); err != nil {
		return err
	}
	limit := limits.InFlight
	if u.enter(limit, l.down()) {
		return nil
	}
	if limit > 0 && !l.down() {
		u.holding.Lock()
		defer u.holding.Unlock()
		if u.enter(limit, false) { // somebody else has asked meanwhile
			return nil
		}
		u.mu.Lock()
		full, want := u.inFlight >= limit, min(limit, u.inFlight+max(1, limit/freeSlots))
		u.mu.Unlock()
		if !full {
			slots, err := l.quotas.HoldSlots(ctx, key.ID, limit, want, slotsFor)
			if err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				l.fail()
			} else {
				u.mu.Lock()
				u.slots = slots
				u.limits = limits
				u.mu.Unlock()
			}
			if u.enter(limit, err != nil) {
				return nil
			}
		}
	}
	return &LimitError{ErrInFlight, inFlightWait}
}

// enter counts a request as in flight if this process has room for it.
func (u *usage) enter(limit int, alone bool) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	room := max(u.slots, 1, limit/freeSlots)
	if alone {
		room = limit
	}
	if limit > 0 && u.inFlight >= min(room, limit) {
		return false
	}
	u.inFlight++
	u.peak = max(u.peak, u.inFlight)
	return true
}

// Leave ends what Enter began.
func (l *Limiter) Leave(key *Key) {
	u := l.of(key)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.inFlight--
}

// Spent notes that a request of a key used tokens. It is added to the sum of
// all processes within a second.
func (l *Limiter) Spent(key *Key, tokens int64) {
	if tokens <= 0 || key.Limits.Or(l.defaults).DailyTokens <= 0 {
		return
	}
	u := l.of(key)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.today(l.now())
	u.pending += tokens
}

// today begins a new sum where the day has changed. The caller holds u.mu.
func (u *usage) today(now time.Time) {
	if day := now.Unix() / int64((24 * time.Hour).Seconds()); day != u.day {
		u.day, u.tokens, u.pending, u.heard = day, 0, 0, time.Time{}
	}
}

// budget says whether tokens are left for today.
func (l *Limiter) budget(ctx context.Context, u *usage, id string, limits Limits) error {
	if limits.DailyTokens <= 0 {
		return nil
	}
	now := l.now()
	u.mu.Lock()
	u.today(now)
	old := now.Sub(u.heard) >= tokensFor && !l.down()
	if old {
		u.heard = now // one asks, the others go by what is known
	}
	u.mu.Unlock()
	if old {
		l.addUp(ctx, u, id)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.tokens+u.pending < limits.DailyTokens {
		return nil
	}
	midnight := now.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	return &LimitError{ErrTokens, midnight.Sub(now)}
}

// addUp adds what was spent here to the sum of all processes, and hears that.
func (l *Limiter) addUp(ctx context.Context, u *usage, id string) {
	u.mu.Lock()
	day, pending := u.day, u.pending
	u.pending = 0
	u.tokens += pending
	u.mu.Unlock()
	date := time.Unix(0, 0).UTC().AddDate(0, 0, int(day)).Format(time.DateOnly)
	sum, err := l.quotas.SpendTokens(ctx, id, date, pending)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.day != day {
		return
	}
	if err != nil {
		// Whether it was added is unknown. Adding it again might charge for it
		// twice, and nobody is charged for what is uncertain.
		if ctx.Err() == nil {
			l.fail()
		}
		return
	}
	u.tokens, u.heard = sum, l.now()
}

// Watch renews and gives back slots and adds up tokens until the context ends.
func (l *Limiter) Watch(ctx context.Context) {
	if l.quotas == nil {
		return
	}
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), backOff)
			defer cancel()
			l.pulse(last, true)
			return
		case <-ticker.C:
			l.pulse(ctx, false)
		}
	}
}

// pulse is one beat; the last gives back all slots that nobody uses.
func (l *Limiter) pulse(ctx context.Context, last bool) {
	for id, one := range l.keys.Range {
		id, u := id.(string), one.(*usage)
		if l.down() && !last {
			return
		}
		u.mu.Lock()
		held, want, limit, spent := u.slots, u.peak, u.limits.InFlight, u.pending > 0
		if last {
			want = u.inFlight
		}
		if want <= max(1, limit/freeSlots) {
			want = 0 // those are free
		}
		u.peak = u.inFlight
		u.mu.Unlock()
		if spent {
			l.addUp(ctx, u, id)
		}
		if held == 0 {
			continue
		}
		u.holding.Lock()
		slots, err := l.quotas.HoldSlots(ctx, id, limit, want, slotsFor)
		if err != nil {
			l.fail()
		} else {
			u.mu.Lock()
			u.slots = slots
			u.mu.Unlock()
		}
		u.holding.Unlock()
	}
}
