package batch

import (
	"context"
	"crypto/sha256"
	"sync"
)

// mostRepeats bounds the results of a batch that are remembered at a time.
const mostRepeats = 2048

// repeats sees to it that an answer which comes again in another chunk of its
// batch is not asked about again where kept grades do not see to it: a batch that
// wants fresh ones passes them over, and what could not be judged is not kept.
type repeats struct {
	fresh bool // kept grades are passed over

	mu    sync.Mutex
	asked map[answerSum]*asking
	held  int // results in asked
}

// answerSum is the digest of a question and an answer.
type answerSum [sha256.Size]byte

func sumOf(question, answer string) answerSum {
	return sha256.Sum256([]byte(question + "\x00" + answer))
}

// asking is an answer that somebody asks about, or has asked about.
type asking struct {
	done   chan struct{} // closed once it is known how it went
	failed bool
	// made is the result where no grade is kept, else zero.
	made graded
}

// ask makes the result of an item, or waits for whoever makes that of the same
// answer. grade is told whether a kept grade will do: one that was made for this
// batch is fresh.
func (r *repeats) ask(ctx context.Context, sum answerSum, item Item, grade func(kept bool) (graded, error)) (graded, error) {
	for {
		a, first := r.join(sum)
		if first {
			return r.first(sum, a, grade)
		}
		select {
		case <-a.done:
		case <-ctx.Done():
			return graded{}, ctx.Err()
		}
		switch {
		case a.failed: // whoever comes next asks
		case a.made.Grade == nil:
			return grade(true)
		default:
			return graded{Result: a.made.repeated(item), free: a.made.free}, nil
		}
	}
}

func (r *repeats) join(sum answerSum) (a *asking, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a = r.asked[sum]; a != nil {
		return a, false
	}
	if r.asked == nil || r.held >= mostRepeats {
		r.asked, r.held = map[answerSum]*asking{}, 0 // rare enough to start over
	}
	a = &asking{done: make(chan struct{})}
	r.asked[sum] = a
	return a, true
}

// first asks, and lets the others know how it went even when it panics.
func (r *repeats) first(sum answerSum, a *asking, grade func(kept bool) (graded, error)) (made graded, err error) {
	a.failed = true
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		switch remembered := r.asked[sum] == a; {
		case remembered && a.made.Grade != nil:
			r.held++
		case remembered && (a.failed || !r.fresh): // what is kept needs no memory
			delete(r.asked, sum)
		}
		close(a.done)
	}()
	made, err = grade(false)
	if a.failed = err != nil; !a.failed && made.GradeID == "" {
		a.made = made
	}
	return made, err
}
