package memory

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"time"

	"github.com/gradus-ai/gradus/internal/batch"
)

// Results implements batch.Store.
func (s *Store) Results(ctx context.Context, key batch.Key, from int) iter.Seq2[batch.Result, error] {
	return func(yield func(batch.Result, error) bool) {
		for index := max(from, 0); ; index++ {
			result, found, err := s.result(ctx, key, &index)
			if err != nil {
				yield(batch.Result{}, err)
				return
			}
			if !found || !yield(result, nil) {
				return
			}
		}
	}
}

// result is the next one there is, from index on; index becomes its index.
func (s *Store) result(ctx context.Context, key batch.Key, index *int) (batch.Result, bool, error) {
	if err := s.enter(ctx, "Results"); err != nil {
		return batch.Result{}, false, err
	}
	defer s.mu.Unlock()
	r, err := s.find(key)
	if err != nil {
		return batch.Result{}, false, err
	}
	for ; *index < r.Total; *index++ {
		if result, found := r.results[*index]; found {
			return result, true, nil
		}
		if r.Status == batch.Cancelled {
			return batch.Result{Index: *index, ID: r.items[*index].ID, Status: batch.RowCancelled, Reason: batch.ReasonCancelled}, true, nil
		}
	}
	return batch.Result{}, false, nil
}

// current finds the chunk that a ref names, if work on it may go on.
func (s *Store) current(ref batch.Ref) (*record, *chunk, error) {
	r, err := s.find(ref.Key)
	if err != nil || r.Status.Over() || ref.Chunk < 0 || ref.Chunk >= len(r.chunks) {
		return nil, nil, batch.ErrLost
	}
	c := r.chunks[ref.Chunk]
	if c.done || c.gen != ref.Gen {
		return nil, nil, batch.ErrLost
	}
	return r, c, nil
}

// held finds the chunk of a claim that still stands.
func (s *Store) held(claim *batch.Claim) (*record, *chunk, error) {
	r, c, err := s.current(claim.Ref)
	if err != nil {
		return nil, nil, err
	}
	if c.holder == "" || c.fence != claim.Fence {
		return nil, nil, batch.ErrLost
	}
	return r, c, nil
}

// Claim implements batch.Store.
func (s *Store) Claim(ctx context.Context, ref batch.Ref, worker string) (*batch.Claim, error) {
	if err := s.enter(ctx, "Claim"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	r, c, err := s.current(ref)
	if err != nil {
		return nil, err
	}
	if c.holder != "" {
		return nil, batch.ErrLost
	}
	if r.Status == batch.Paused {
		c.gen++
		c.enqueued = time.Time{}
		return nil, batch.ErrLost
	}
	c.holder, c.until, c.suspect = worker, s.clock().Add(batch.LeaseTime), -1
	c.fence++
	if r.Status == batch.Queued {
		r.Status = batch.Running
		s.touch(r)
	}
	done := map[int]bool{}
	for _, item := range c.Items {
		if _, found := r.results[item.Index]; found {
			done[item.Index] = true
		}
	}
	return &batch.Claim{Ref: ref, Worker: worker, Fence: c.fence, Batch: r.Batch, Chunk: c.Chunk,
		Done: done, Crashes: c.crashes, Suspected: maps.Clone(c.suspected)}, nil
}

// Renew implements batch.Store.
func (s *Store) Renew(ctx context.Context, claim *batch.Claim) error {
	if err := s.enter(ctx, "Renew"); err != nil {
		return err
	}
	defer s.mu.Unlock()
	_, c, err := s.held(claim)
	if err != nil {
		return err
	}
	c.until = s.clock().Add(batch.LeaseTime)
	return nil
}

// Suspect implements batch.Store.
func (s *Store) Suspect(ctx context.Context, claim *batch.Claim, index int) error {
	if err := s.enter(ctx, "Suspect"); err != nil {
		return err
	}
	defer s.mu.Unlock()
	_, c, err := s.held(claim)
	if err != nil {
		return err
	}
	c.suspect = index
	return nil
}

// Complete implements batch.Store.
func (s *Store) Complete(ctx context.Context, claim *batch.Claim, results []batch.Result, done bool) (*batch.Progress, error) {
	if err := s.enter(ctx, "Complete"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	r, c, err := s.held(claim)
	if err != nil {
		return nil, err
	}
	for _, result := range results {
		if result.Index < 0 || result.Index >= r.Total || r.items[result.Index].ID != result.ID {
			return nil, fmt.Errorf("result %d is of no item", result.Index)
		}
	}
	for _, result := range results {
		r.count(result)
	}
	progress := &batch.Progress{}
	if done {
		c.holder = ""
		c.done = true
		for _, item := range c.Items {
			if _, found := r.results[item.Index]; !found {
				c.done = false
			}
		}
		if !c.done {
			c.gen++
			c.enqueued = time.Time{}
			progress.Again = &batch.Ref{Key: claim.Ref.Key, Chunk: claim.Ref.Chunk, Gen: c.gen}
		}
	}
	switch {
	case r.Pending() == 0:
		progress.Finished = true
		s.end(r, batch.Completed)
	case len(results) > 0:
		s.touch(r)
	}
	progress.Batch = r.Batch
	return progress, nil
}

// count keeps a result, unless its item has one.
func (r *record) count(result batch.Result) {
	if _, found := r.results[result.Index]; found {
		return
	}
	r.results[result.Index] = result
	switch result.Status {
	case batch.RowGraded:
		r.Graded++
	case batch.RowNeedsReview:
		r.NeedsReview++
	case batch.RowFailed:
		r.Failed++
	case batch.RowCancelled:
		r.Cancelled++
	}
	if result.Cached {
		r.Cached++
	}
	r.Mixed = r.Mixed || result.Mixed
	r.Spent, r.Saved = r.Spent.Plus(result.Spent), r.Saved.Plus(result.Saved)
}

// Chunks implements batch.Store.
func (s *Store) Chunks(ctx context.Context, key batch.Key) ([]batch.ChunkState, error) {
	if err := s.enter(ctx, "Chunks"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	r, err := s.find(key)
	if err != nil {
		return nil, err
	}
	var states []batch.ChunkState
	for i, c := range r.chunks {
		if c.done {
			continue
		}
		state := batch.ChunkState{
			Ref:        batch.Ref{Key: key, Chunk: i, Gen: c.gen},
			Claimed:    c.holder != "",
			Expired:    c.holder != "" && !c.until.After(s.clock()),
			EnqueuedAt: c.enqueued,
			Crashes:    c.crashes,
		}
		if !c.enqueued.IsZero() {
			state.Age = s.clock().Sub(c.enqueued)
		}
		states = append(states, state)
	}
	return states, nil
}

// Enqueued implements batch.Store.
func (s *Store) Enqueued(ctx context.Context, refs ...batch.Ref) error {
	if err := s.enter(ctx, "Enqueued"); err != nil {
		return err
	}
	defer s.mu.Unlock()
	for _, ref := range refs {
		if _, c, err := s.current(ref); err == nil {
			c.enqueued = s.clock()
		}
	}
	return nil
}

// Reclaim implements batch.Store.
func (s *Store) Reclaim(ctx context.Context, ref batch.Ref) (batch.Ref, error) {
	if err := s.enter(ctx, "Reclaim"); err != nil {
		return batch.Ref{}, err
	}
	defer s.mu.Unlock()
	_, c, err := s.current(ref)
	switch {
	case err != nil:
		return batch.Ref{}, err
	case c.holder != "" && c.until.After(s.clock()):
		return batch.Ref{}, batch.ErrLost
	case c.holder != "" && c.suspect >= 0:
		c.suspected[c.suspect]++
	case c.holder != "":
		c.crashes++
	}
	c.holder, c.suspect = "", -1
	c.gen++
	c.enqueued = time.Time{}
	ref.Gen = c.gen
	return ref, nil
}
