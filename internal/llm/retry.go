package llm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Defaults of RetryConfig.
const (
	defaultRetries  = 3
	defaultBase     = 500 * time.Millisecond
	defaultCap      = 20 * time.Second
	defaultPatience = time.Minute
	// An endpoint that says "too often" and not how long wants a longer pause
	// than one that merely failed.
	rateLimitBase = 4 // times Base
	// A certificate seldom gets better within a call.
	certificateRetries = 2
)

// RetryConfig shapes Retry. The zero value of a field is its default.
type RetryConfig struct {
	// Max is the most retries of one call. Default 3; negative for none.
	Max int
	// Base and Cap bound the pauses: before retry n a call waits a random time
	// up to Base·2ⁿ⁻¹, at most Cap ("full jitter"). Defaults 0.5 s and 20 s.
	Base, Cap time.Duration
	// Patience is the longest that a call without a deadline waits. Default
	// one minute.
	Patience time.Duration
	// Budget bounds the retries of everything that shares it. Default: 20 % of
	// the calls and 10 a second, for this Retry alone.
	Budget *Budget
	// Rand gives numbers in [0, 1), concurrently. Default: math/rand.
	Rand func() float64
	// Observer hears of every pause.
	Observer Observer
}

// Retry asks again after a failure that may pass. It is the only loop: neither
// the adapter below nor a caller above repeats a call.
//
// Where the endpoint says how long to wait, that long is waited exactly, if it
// fits the deadline; else the error is returned at once and says how long. An
// open breaker is not waited for. A retry is taken from the budget.
type Retry struct {
	next Completer
	cfg  RetryConfig
}

// NewRetry wraps next.
func NewRetry(next Completer, cfg RetryConfig) *Retry {
	switch {
	case cfg.Max == 0:
		cfg.Max = defaultRetries
	case cfg.Max < 0:
		cfg.Max = 0
	}
	cfg.Base = cmp.Or(cfg.Base, defaultBase)
	cfg.Cap = cmp.Or(cfg.Cap, defaultCap)
	cfg.Patience = cmp.Or(cfg.Patience, defaultPatience)
	if cfg.Budget == nil {
		cfg.Budget = NewBudget(0.2, 10)
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Float64
	}
	return &Retry{next: next, cfg: cfg}
}

// Models returns the models of the completer underneath.
func (r *Retry) Models() []string { return r.next.Models() }

// Complete asks until there is a reply, an error that will not pass, or no
// retry left.
func (r *Retry) Complete(ctx context.Context, req Request) (*Reply, error) {
	r.cfg.Budget.called()
	for retry := 1; ; retry++ {
		began := time.Now()
		reply, err := r.next.Complete(ctx, req)
		if err == nil {
			return reply, nil
		}
		wait, ok := r.pause(ctx, err, retry, time.Since(began))
		if !ok {
			return nil, err
		}
		if !r.cfg.Budget.spend() {
			return nil, fmt.Errorf("%w: %w", ErrBudget, err)
		}
		r.cfg.Observer.waiting(Waiting{Model: nameOf(r.next), Retry: retry, Kind: Kind(err), Wait: wait})
		if gone := sleep(ctx, wait); gone != nil {
			return nil, fmt.Errorf("wait to ask again after %s: %w", Kind(err), gone)
		}
	}
}

// pause decides whether to ask again, and after how long.
func (r *Retry) pause(ctx context.Context, err error, retry int, took time.Duration) (time.Duration, bool) {
	var open *OpenError
	if retry > r.cfg.Max || !Retryable(err) || errors.As(err, &open) || ctx.Err() != nil {
		return 0, false
	}
	base, room := r.cfg.Base, time.Duration(0)
	var limited *RateLimitError
	var unavailable *UnavailableError
	switch {
	case errors.As(err, &limited):
		base *= rateLimitBase
	case errors.Is(err, ErrTimeout):
		// What took so long will take as long again: once more, if there is
		// time for it.
		if retry > 1 {
			return 0, false
		}
		room = took
	case errors.As(err, &unavailable) && strings.HasPrefix(unavailable.Reason, CertificateFault) && retry > certificateRetries:
		return 0, false
	}
	wait, said := RetryAfter(err)
	if !said {
		ceiling := min(base<<(retry-1), r.cfg.Cap)
		wait = time.Duration(r.cfg.Rand() * float64(ceiling))
	}
	return wait, fits(ctx, wait, room, r.cfg.Patience)
}

// fits reports whether a wait ends within the context's deadline with room to
// spare, or, without a deadline, within patience.
func fits(ctx context.Context, wait, room, patience time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok {
		return wait+room < time.Until(deadline)
	}
	return wait <= patience
}

// sleep waits; it returns the context's error when that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
