package batch

import (
	"errors"
	"math/rand/v2"
	"time"
)

// Action is what follows from an error of the Grader.
type Action int

// The actions. Retry, the zero value, leaves the item pending: it is tried
// again, soon or later. Pause makes the whole batch wait for a person. Fail ends
// the item without a grade, because it would fail again however often.
const (
	Retry Action = iota
	Pause
	Fail
)

// Outcome is what an error of the Grader means for an item.
type Outcome struct {
	Action Action
	// After is how long to wait before a Retry, where somebody said; 0 where not.
	After time.Duration
	// Limited says of a Retry that the item itself may be to blame: when this
	// has happened MaxTries times, with other items answered between, it fails
	// with Reason. An outage, which answers nobody, uses up no tries.
	Limited bool
	// Reason is a slug of a problem type for Fail and for a Limited Retry, and
	// the PausedReason for Pause.
	Reason string
}

// MaxTries is how often a worker tries an item that alone cannot be judged.
const MaxTries = 10

// ErrDraining is returned for a chunk that was not begun because the worker is
// about to stop. Another worker should be brought it.
var ErrDraining = errors.New("the worker takes no new work")

const (
	// patience is how long an item is waited for inside a worker before its
	// chunk is given back.
	patience = 10 * time.Second
	// laterMin and laterMax bound how long a chunk waits after that, where
	// nobody said how long.
	laterMin, laterMax = 5 * time.Second, 45 * time.Second
	// longestWait bounds what an endpoint may ask for.
	longestWait = 10 * time.Minute
	// unfitWait is how long a chunk waits that this worker cannot work on.
	unfitWait = 15 * time.Second
)

// backOff is how long to wait inside the worker after so many failures.
func backOff(failures int) time.Duration {
	return jitter(time.Second << min(failures, 3))
}

// later is how long a chunk waits before it is handed out again: what was asked
// for, or longer with each handing out.
func later(asked time.Duration, gen int64) time.Duration {
	if asked > 0 {
		return min(asked, longestWait)
	}
	return min(jitter(laterMin<<min(max(gen-1, 0), 4)), laterMax)
}

// jitter is d, give or take a fifth, so that those who failed together do not
// come back together.
func jitter(d time.Duration) time.Duration {
	return d - d/5 + rand.N(2*d/5)
}
