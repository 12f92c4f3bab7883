package batchtest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/batch"
)

func countedOnce(b *bench) {
	rec := b.commit(4)
	claim := b.claim(b.states(rec.Key)[0].Ref, "w")
	require.Equal(b, rec.Key, claim.Ref.Key)
	require.Empty(b, claim.Done)
	items := claim.Chunk.Items

	first := graded(items[0])
	first.Spent, first.Mixed = spent(1, dollars(.5)), true
	second := graded(items[1])
	second.Status, second.Cached, second.Saved = batch.RowNeedsReview, true, spent(2, dollars(.25))
	before := b.get(rec.Key).Version
	progress := b.complete(claim, false, first, second)
	require.Nil(b, progress.Again)
	require.False(b, progress.Finished)
	got := b.get(rec.Key)
	require.Equal(b, got, &progress.Batch)
	require.Greater(b, got.Version, before)
	require.Equal(b, []int{1, 1, 0, 0, 2, 1}, []int{got.Graded, got.NeedsReview, got.Failed, got.Cancelled, got.Pending(), got.Cached})
	require.True(b, got.Mixed)
	require.Equal(b, first.Spent, got.Spent)
	require.Equal(b, second.Saved, got.Saved)

	again := failed(items[0], batch.ReasonInternal)
	again.Spent = spent(9, dollars(9))
	b.complete(claim, false, again, graded(items[1]))
	after := b.get(rec.Key)
	require.Equal(b, []int{1, 1, 0, 0, 2, 1}, []int{after.Graded, after.NeedsReview, after.Failed, after.Cancelled, after.Pending(), after.Cached},
		"an item is counted once")
	require.Equal(b, got.Spent, after.Spent)
	require.Equal(b, []batch.Result{first, second}, b.results(rec.Key, 0), "a result does not change")
}

func lastCompletes(b *bench) {
	rec := b.commit(2, 1)
	states := b.states(rec.Key)
	one, two := b.claim(states[0].Ref, "w"), b.claim(states[1].Ref, "w")
	progress := b.complete(one, true, graded(one.Chunk.Items[0]), failed(one.Chunk.Items[1], batch.ReasonRejected))
	require.Nil(b, progress.Again)
	require.False(b, progress.Finished)
	require.Len(b, b.states(rec.Key), 1)
	_, err := b.Store.Claim(b.Context(), states[0].Ref, "w")
	require.ErrorIs(b, err, batch.ErrLost, "a chunk that is done")

	progress = b.complete(two, true, graded(two.Chunk.Items[0]))
	require.True(b, progress.Finished)
	require.Nil(b, progress.Again)
	got := b.get(rec.Key)
	require.Equal(b, batch.Completed, got.Status)
	addsUp(b, got)
	require.Empty(b, b.states(rec.Key))
	active, err := b.Store.Active(b.Context())
	require.NoError(b, err)
	require.NotContains(b, active, rec.Key)

	_, err = b.Store.Complete(b.Context(), two, nil, true)
	require.ErrorIs(b, err, batch.ErrLost)
	_, err = b.Store.Cancel(b.Context(), rec.Key)
	require.NoError(b, err)
	require.Equal(b, got, b.get(rec.Key), "cancelling what is over changes nothing")
	require.NoError(b, b.Store.Pause(b.Context(), rec.Key, "x"))
	require.NoError(b, b.Store.Resume(b.Context(), rec.Key))
	require.Equal(b, got, b.get(rec.Key), "nor does pausing")
}

func givenUp(b *bench) {
	rec := b.commit(3)
	ref := b.states(rec.Key)[0].Ref
	require.NoError(b, b.Store.Enqueued(b.Context(), ref))
	claim := b.claim(ref, "w1")
	progress := b.complete(claim, true, graded(claim.Chunk.Items[1]))
	require.NotNil(b, progress.Again)
	require.Greater(b, progress.Again.Gen, ref.Gen)

	_, err := b.Store.Claim(b.Context(), ref, "w2")
	require.ErrorIs(b, err, batch.ErrLost, "an old ref")
	_, err = b.Store.Complete(b.Context(), claim, []batch.Result{graded(claim.Chunk.Items[0])}, false)
	require.ErrorIs(b, err, batch.ErrLost, "the claim was given up")
	require.ErrorIs(b, b.Store.Renew(b.Context(), claim), batch.ErrLost)
	state := b.states(rec.Key)[0]
	require.Equal(b, *progress.Again, state.Ref)
	require.True(b, state.EnqueuedAt.IsZero())
	require.False(b, state.Claimed)
	require.Zero(b, state.Crashes, "giving up is no crash")

	next := b.claim(*progress.Again, "w2")
	require.Greater(b, next.Fence, claim.Fence)
	require.Equal(b, map[int]bool{claim.Chunk.Items[1].Index: true}, next.Done)
	require.Equal(b, claim.Chunk, next.Chunk)
	require.Equal(b, 1, next.Batch.Graded)
}

func leaseRunsOut(b *bench) {
	ctx := b.Context()
	rec := b.commit(2)
	ref := b.states(rec.Key)[0].Ref
	require.NoError(b, b.Store.Enqueued(ctx, ref))
	claim := b.claim(ref, "w1")
	_, err := b.Store.Claim(ctx, ref, "w1")
	require.ErrorIs(b, err, batch.ErrLost, "not even the same worker twice")
	_, err = b.Store.Reclaim(ctx, ref)
	require.ErrorIs(b, err, batch.ErrLost, "a lease is running")
	require.True(b, b.states(rec.Key)[0].Claimed)
	require.False(b, b.states(rec.Key)[0].Expired)

	b.Pass(batch.LeaseTime + time.Second)
	require.True(b, b.states(rec.Key)[0].Expired)
	_, err = b.Store.Claim(ctx, ref, "w2")
	require.ErrorIs(b, err, batch.ErrLost, "a claim holds until it is taken")
	again, err := b.Store.Reclaim(ctx, ref)
	require.NoError(b, err)
	require.Greater(b, again.Gen, ref.Gen)
	state := b.states(rec.Key)[0]
	require.Equal(b, batch.ChunkState{Ref: again, Crashes: 1}, state)
	_, err = b.Store.Reclaim(ctx, ref)
	require.ErrorIs(b, err, batch.ErrLost, "an old ref")

	for range 2 { // before and after the chunk has a new owner
		_, err = b.Store.Complete(ctx, claim, []batch.Result{graded(claim.Chunk.Items[0])}, false)
		require.ErrorIs(b, err, batch.ErrLost)
		require.ErrorIs(b, b.Store.Renew(ctx, claim), batch.ErrLost)
		require.ErrorIs(b, b.Store.Suspect(ctx, claim, 0), batch.ErrLost)
		if _, err = b.Store.Claim(ctx, again, "w2"); err != nil {
			require.ErrorIs(b, err, batch.ErrLost)
		}
	}
	require.Empty(b, b.results(rec.Key, 0), "a lost claim keeps nothing")
}

func leaseRenewed(b *bench) {
	rec := b.commit(1)
	ref := b.states(rec.Key)[0].Ref
	claim := b.claim(ref, "w1")
	for range 3 {
		b.Pass(batch.LeaseTime * 2 / 3)
		require.NoError(b, b.Store.Renew(b.Context(), claim))
	}
	require.False(b, b.states(rec.Key)[0].Expired)
	b.Pass(batch.LeaseTime * 2)
	require.NoError(b, b.Store.Renew(b.Context(), claim), "nobody took it")
	require.False(b, b.states(rec.Key)[0].Expired)
	b.Pass(batch.LeaseTime * 2)
	require.True(b, b.complete(claim, true, graded(claim.Chunk.Items[0])).Finished, "nobody took it")
}

func suspects(b *bench) {
	ctx := b.Context()
	rec := b.commit(3)
	ref := b.states(rec.Key)[0].Ref
	crash := func(suspect ...int) {
		claim := b.claim(ref, "w")
		for _, index := range suspect {
			require.NoError(b, b.Store.Suspect(ctx, claim, index))
		}
		b.Pass(batch.LeaseTime + time.Second)
		var err error
		ref, err = b.Store.Reclaim(ctx, ref)
		require.NoError(b, err)
	}
	crash()
	crash(0, 2)
	crash(2)
	crash() // suspects nobody: a claim does not inherit a suspicion
	crash(1)
	claim := b.claim(ref, "w")
	require.Equal(b, 2, claim.Crashes)
	require.Equal(b, map[int]int{1: 1, 2: 2}, claim.Suspected)
	require.Equal(b, 2, b.states(rec.Key)[0].Crashes)
}

func reclaimUnclaimed(b *bench) {
	ctx := b.Context()
	rec := b.commit(1)
	ref := b.states(rec.Key)[0].Ref
	require.NoError(b, b.Store.Enqueued(ctx, ref))
	again, err := b.Store.Reclaim(ctx, ref)
	require.NoError(b, err)
	require.Greater(b, again.Gen, ref.Gen)
	require.Equal(b, batch.ChunkState{Ref: again}, b.states(rec.Key)[0], "no crash, and back in the outbox")
	_, err = b.Store.Claim(ctx, ref, "w")
	require.ErrorIs(b, err, batch.ErrLost)
	claim := b.claim(again, "w")
	require.Zero(b, claim.Crashes)
	b.complete(claim, true, graded(claim.Chunk.Items[0]))
	_, err = b.Store.Reclaim(ctx, again)
	require.ErrorIs(b, err, batch.ErrLost, "a batch that is over")
}
