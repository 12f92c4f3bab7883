package batchtest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gradus-ai/gradus/internal/batch"
)

// property lets workers claim, complete, crash and lose chunks in any order,
// and a keeper and a submitter act between, beside a record of what was kept.
func property(b *bench) {
	rapid.Check(b.T, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(1, 4), 1, 4).Draw(t, "chunks")
		s := &story{Subject: b.Subject, t: t, kept: map[int]batch.Result{}}
		s.begin(b.stage(sizes...))
		for range rapid.IntRange(5, 40).Draw(t, "steps") {
			s.step()
			s.check()
		}
		s.finish()
	})
}

// story is one run of the property.
type story struct {
	Subject
	t       *rapid.T
	rec     *batch.Batch
	claims  []*batch.Claim // all there ever were
	kept    map[int]batch.Result
	over    bool
	version int64
}

func (s *story) begin(rec batch.Batch) {
	_, err := s.Store.Get(s.t.Context(), rec.Key)
	require.ErrorIs(s.t, err, batch.ErrNotFound, "nothing is seen before the commit")
	_, err = s.Store.Commit(s.t.Context(), rec, nil, "")
	require.NoError(s.t, err)
	s.rec, err = s.Store.Get(s.t.Context(), rec.Key)
	require.NoError(s.t, err)
}

func (s *story) states() []batch.ChunkState {
	states, err := s.Store.Chunks(s.t.Context(), s.rec.Key)
	require.NoError(s.t, err)
	return states
}

// may accepts that a step came too late, and nothing else.
func (s *story) may(err error) bool {
	if err != nil {
		require.ErrorIs(s.t, err, batch.ErrLost)
	}
	return err == nil
}

func (s *story) step() {
	ctx, t := s.t.Context(), s.t
	switch rapid.SampledFrom([]string{"claim", "claim", "complete", "complete", "complete", "crash", "reclaim", "renew", "suspect", "pause", "resume", "cancel"}).Draw(t, "step") {
	case "claim":
		if states := s.states(); len(states) > 0 {
			ref := rapid.SampledFrom(states).Draw(t, "chunk").Ref
			if claim, err := s.Store.Claim(ctx, ref, "w"); s.may(err) {
				s.claims = append(s.claims, claim)
			}
		}
	case "complete":
		s.complete()
	case "crash":
		s.Pass(batch.LeaseTime + time.Second)
	case "reclaim":
		for _, state := range s.states() {
			if state.Expired || !state.Claimed {
				_, err := s.Store.Reclaim(ctx, state.Ref)
				s.may(err)
			}
		}
	case "renew":
		if len(s.claims) > 0 {
			s.may(s.Store.Renew(ctx, rapid.SampledFrom(s.claims).Draw(t, "claim")))
		}
	case "suspect":
		if len(s.claims) > 0 {
			claim := rapid.SampledFrom(s.claims).Draw(t, "claim")
			s.may(s.Store.Suspect(ctx, claim, claim.Chunk.Items[0].Index))
		}
	case "pause":
		require.NoError(t, s.Store.Pause(ctx, s.rec.Key, "x"))
	case "resume":
		require.NoError(t, s.Store.Resume(ctx, s.rec.Key))
	case "cancel":
		if rapid.IntRange(0, 9).Draw(t, "really") == 0 {
			_, err := s.Store.Cancel(ctx, s.rec.Key)
			require.NoError(t, err)
			s.over = true
		}
	}
}

func (s *story) complete() {
	t := s.t
	if len(s.claims) == 0 {
		return
	}
	claim := rapid.SampledFrom(s.claims).Draw(t, "claim")
	var results []batch.Result
	for _, item := range claim.Chunk.Items {
		if rapid.Bool().Draw(t, "ready") {
			result := graded(item)
			result.Status = rapid.SampledFrom([]batch.RowStatus{batch.RowGraded, batch.RowNeedsReview}).Draw(t, "status")
			result.Grade = fmt.Appendf(nil, `{"try":%d}`, rapid.IntRange(0, 1<<20).Draw(t, "try")) // no two alike
			result.Spent = spent(1, dollars(.125))
			results = append(results, result)
		}
	}
	progress, err := s.Store.Complete(t.Context(), claim, results, rapid.Bool().Draw(t, "done"))
	if !s.may(err) {
		return
	}
	require.False(t, s.over, "nothing is kept once a batch is over")
	for _, result := range results {
		if _, found := s.kept[result.Index]; !found {
			s.kept[result.Index] = result
		}
	}
	require.Equal(t, progress.Finished, len(s.kept) == s.rec.Total)
	s.over = progress.Finished
}

func (s *story) check() {
	t := s.t
	got, err := s.Store.Get(t.Context(), s.rec.Key)
	require.NoError(t, err)
	addsUp(t, got)
	require.GreaterOrEqual(t, got.Version, s.version)
	s.version = got.Version
	require.Equal(t, len(s.kept), got.Graded+got.NeedsReview, "each item is counted once")
	require.Equal(t, len(s.kept), got.Spent.Calls, "each item is paid once")
	require.Equal(t, s.over, got.Status.Over())
	var results []batch.Result
	for result, err := range s.Store.Results(t.Context(), s.rec.Key, 0) {
		require.NoError(t, err)
		results = append(results, result)
	}
	if got.Status == batch.Cancelled {
		require.Len(t, results, got.Total)
		results = slices.DeleteFunc(results, func(r batch.Result) bool { return r.Status == batch.RowCancelled })
	}
	want := make([]batch.Result, 0, len(s.kept))
	for _, index := range slices.Sorted(maps.Keys(s.kept)) {
		want = append(want, s.kept[index])
	}
	require.Equal(t, len(want), len(results))
	for i := range want {
		require.Equal(t, want[i], results[i], "no result changes")
	}
}

// finish brings the batch to its end: whatever happened, it can be ended.
func (s *story) finish() {
	ctx, t := s.t.Context(), s.t
	require.NoError(t, s.Store.Resume(ctx, s.rec.Key))
	s.Pass(batch.LeaseTime + time.Second)
	for _, state := range s.states() {
		if s.over {
			break
		}
		ref, err := s.Store.Reclaim(ctx, state.Ref)
		require.NoError(t, err)
		claim, err := s.Store.Claim(ctx, ref, "last")
		require.NoError(t, err)
		var rest []batch.Result
		for _, item := range claim.Chunk.Items {
			_, found := s.kept[item.Index]
			require.Equal(t, found, claim.Done[item.Index])
			if !found {
				rest = append(rest, graded(item))
				rest[len(rest)-1].Spent = spent(1, nil)
				s.kept[item.Index] = rest[len(rest)-1]
			}
		}
		progress, err := s.Store.Complete(ctx, claim, rest, true)
		require.NoError(t, err)
		require.Nil(t, progress.Again)
		s.over = progress.Finished
	}
	require.True(t, s.over)
	s.check()
}
