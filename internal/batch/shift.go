package batch

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// shift is a worker's work on one claim.
type shift struct {
	worker   *Worker
	claim    *Claim
	lease    *lease
	desk     *desk
	question *rubric.Question
	current  Versions
	hearth   string // names batch and question, for a model

	results  chan Result // has room for the whole chunk: nobody waits to deliver
	troubled atomic.Bool // some item could not be graded at once

	mu     sync.Mutex
	over   chan struct{} // closed when nothing more shall be begun
	ended  bool
	later  time.Duration // before the chunk is handed out again
	paused bool          // then it is not
}

func newShift(w *Worker, claim *Claim) *shift {
	return &shift{
		worker:  w,
		claim:   claim,
		lease:   newLease(w.cfg.Store, claim, w.cfg.Now),
		results: make(chan Result, len(claim.Chunk.Items)),
		over:    make(chan struct{}),
	}
}

// work works on the chunk to its end, or until it is given back.
func (s *shift) work(ctx context.Context) error {
	working, end := context.WithCancelCause(ctx)
	defer end(nil)
	var running sync.WaitGroup
	defer running.Wait()
	defer end(nil) // before the wait
	running.Go(func() { s.lease.keep(working, end) })

	var leave func()
	s.desk, leave = s.worker.desks.of(&s.claim.Batch)
	defer leave()
	running.Go(func() {
		defer close(s.results)
		s.items(working)
	})
	return s.collect(ctx, working, end)
}

// giveUp makes the chunk be handed out again after a while; nothing more is
// begun. Of several waits the longest counts.
func (s *shift) giveUp(after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.later = max(s.later, after)
	if !s.ended {
		s.ended = true
		close(s.over)
	}
}

// stopping reports whether nothing more shall be begun.
func (s *shift) stopping(ctx context.Context) bool {
	select {
	case <-s.over:
		return true
	case <-s.worker.drain:
		return true
	default:
		return ctx.Err() != nil
	}
}

// items sees to the items that have no result yet.
func (s *shift) items(ctx context.Context) {
	var pending []Item
	for _, item := range s.claim.Chunk.Items {
		if !s.claim.Done[item.Index] {
			pending = append(pending, item)
		}
	}
	b := &s.claim.Batch
	if s.worker.cfg.Now().Sub(b.CreatedAt) > Deadline {
		s.fail(pending, ReasonExpired)
		return
	}
	var err error
	if s.current, err = s.worker.cfg.Versions(b.Options.Judge); err != nil {
		// Another worker may have the judge; this one must not fail the batch.
		s.unfit(ctx, "a batch waits for a worker with its judge", err)
		return
	}
	switch s.question, err = rubric.Thaw(s.claim.Chunk.Question); {
	case errors.Is(err, rubric.ErrOtherVersion):
		s.unfit(ctx, "a batch waits for a worker of its version", err)
	case err != nil:
		s.worker.cfg.Log.ErrorContext(ctx, "a question kept with a batch cannot be read", "batch", b.ID, "chunk", s.claim.Ref.Chunk, "error", err)
		s.fail(pending, ReasonInternal)
	case s.claim.Crashes > 0:
		s.oneByOne(ctx, sameAnswers(pending))
	default:
		s.together(ctx, sameAnswers(pending))
	}
}

func (s *shift) log(ctx context.Context, what string, err error) {
	s.worker.cfg.Log.WarnContext(ctx, what, "batch", s.claim.Ref.ID, "chunk", s.claim.Ref.Chunk, "error", err)
}

// unfit leaves the chunk to another worker, and says so once for each batch.
func (s *shift) unfit(ctx context.Context, what string, err error) {
	if s.worker.unfit.first(s.claim.Ref.Key) {
		s.log(ctx, what, err)
	}
	s.giveUp(unfitWait)
}

// sameAnswers groups items that give the same answer, which is judged once.
func sameAnswers(items []Item) [][]Item {
	var groups [][]Item
	place := make(map[string]int, len(items))
	for _, item := range items {
		at, again := place[item.Answer]
		if !again {
			at = len(groups)
			place[item.Answer] = at
			groups = append(groups, nil)
		}
		groups[at] = append(groups[at], item)
	}
	return groups
}

// together runs all groups at once, but for the first where that spares a model
// the same prefix over and over.
func (s *shift) together(ctx context.Context, groups [][]Item) {
	var running sync.WaitGroup
	defer running.Wait()
	if s.claim.Batch.Options.Judge == grading.Model {
		s.hearth = s.claim.Ref.ID + " " + s.question.Ref + " " + s.question.Digest()
		first, went, err := s.worker.hearth.light(ctx, s.hearth)
		switch {
		case err != nil:
			return
		case went == trouble: // one who asks in vain is enough
			s.giveUp(later(0, s.claim.Ref.Gen))
			return
		case first != nil:
			groups = s.first(ctx, &running, groups, first)
		}
	}
	for _, group := range groups {
		running.Go(func() { s.group(ctx, group) })
	}
}

// first runs groups one after another until a model has answered one, or has
// been reading one for long enough, and returns those that are left. A model
// that cannot be asked is asked about one answer only until it can.
func (s *shift) first(ctx context.Context, running *sync.WaitGroup, groups [][]Item, f *fire) [][]Item {
	went := cold
	defer func() { s.worker.hearth.lit(s.hearth, f, went) }()
	late := time.NewTimer(warmUp)
	defer late.Stop()
	for went == cold && len(groups) > 0 && !s.stopping(ctx) {
		group, asked := groups[0], make(chan bool, 1)
		groups = groups[1:]
		running.Go(func() { asked <- s.group(ctx, group) })
		var answered bool
		select {
		case answered = <-asked:
		case <-late.C:
			if answered = !s.troubled.Load(); !answered {
				answered = s.sitOut(asked)
			}
		}
		switch {
		case answered:
			went = warm
		case s.stopping(ctx):
			went = trouble
		}
	}
	return groups
}

// sitOut waits a while for an answer that did not come at the first try, and
// gives the rest of the chunk up when it does not come: others with the same
// question must not be held up for as long as a model can hang.
func (s *shift) sitOut(asked <-chan bool) (answered bool) {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case answered = <-asked:
	case <-late.C:
		s.giveUp(later(0, s.claim.Ref.Gen))
	}
	return answered
}

// oneByOne runs a chunk over which a worker has died: one item after another,
// each noted before, so that the next crash tells which it was.
func (s *shift) oneByOne(ctx context.Context, groups [][]Item) {
	for _, group := range groups {
		if s.suspected(group) {
			s.fail(group, ReasonWorkerCrash)
			continue
		}
		if s.stopping(ctx) || s.lease.sure(ctx) != nil {
			return
		}
		switch err := s.worker.cfg.Store.Suspect(ctx, s.claim, group[0].Index); {
		case errors.Is(err, ErrLost):
			return // the lease will say so too
		case err != nil:
			s.giveUp(laterMin)
			return
		}
		s.group(ctx, group)
	}
}

// suspected reports whether an answer has brought down too many workers.
func (s *shift) suspected(group []Item) bool {
	crashes := 0
	for _, item := range group {
		crashes += s.claim.Suspected[item.Index]
	}
	return crashes >= MaxCrashes
}

// group grades one answer for all items that give it, and reports whether a
// judge was asked and has answered. Items that cannot be graded now stay
// pending.
func (s *shift) group(ctx context.Context, group []Item) (asked bool) {
	if s.stopping(ctx) || s.lease.sure(ctx) != nil {
		return false
	}
	paid, err := s.desk.purse.take(ctx, func() float64 { return s.estimate(group[0]) })
	switch {
	case err != nil:
		return false
	case !paid:
		s.fail(group, ReasonCostLimit)
		return false
	}
	var made graded
	ok := false
	if !s.stopping(ctx) { // it may have had to wait for its money
		made, ok = s.grade(ctx, group[0])
	}
	s.desk.purse.give(made.Spent)
	if !ok {
		return false
	}
	s.results <- made.Result
	for _, item := range group[1:] {
		s.results <- made.repeated(item)
	}
	return made.Spent.Calls > 0
}

// estimate is what grading an item may cost, in dollars; 0 where nobody knows.
func (s *shift) estimate(item Item) float64 {
	usage, err := s.worker.cfg.Estimate(request(&s.claim.Batch, s.question, item.Answer), false)
	if err != nil {
		return 0
	}
	return dollars(usage)
}

// fail ends items without a grade.
func (s *shift) fail(items []Item, reason string) {
	for _, item := range items {
		s.results <- failure(item, reason)
	}
}

func failure(item Item, reason string) Result {
	return Result{Index: item.Index, ID: item.ID, Status: RowFailed, Reason: reason}
}
