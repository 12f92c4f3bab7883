package batchtest

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/batch"
)

func cancelling(b *bench) {
	ctx := b.Context()
	rec := b.commit(3, 2)
	states := b.states(rec.Key)
	claim := b.claim(states[0].Ref, "w")
	b.complete(claim, false, graded(claim.Chunk.Items[1]))
	got, err := b.Store.Cancel(ctx, rec.Key)
	require.NoError(b, err)
	require.Equal(b, b.get(rec.Key), got)
	require.Equal(b, batch.Cancelled, got.Status)
	require.Equal(b, []int{1, 4, 0}, []int{got.Graded, got.Cancelled, got.Pending()})
	addsUp(b, got)

	_, err = b.Store.Complete(ctx, claim, []batch.Result{graded(claim.Chunk.Items[0])}, false)
	require.ErrorIs(b, err, batch.ErrLost)
	require.ErrorIs(b, b.Store.Renew(ctx, claim), batch.ErrLost)
	_, err = b.Store.Claim(ctx, states[1].Ref, "w")
	require.ErrorIs(b, err, batch.ErrLost)
	require.Equal(b, got, b.get(rec.Key))

	cancelled := func(index int) batch.Result {
		return batch.Result{Index: index, ID: claim.Chunk.Items[0].ID[:5] + string(rune('0'+index)), Status: batch.RowCancelled, Reason: batch.ReasonCancelled}
	}
	want := []batch.Result{cancelled(0), graded(claim.Chunk.Items[1]), cancelled(2), cancelled(3), cancelled(4)}
	require.Equal(b, want, b.results(rec.Key, 0))
	require.Equal(b, want[2:], b.results(rec.Key, 2))

	queued := b.commit(1)
	got, err = b.Store.Cancel(ctx, queued.Key)
	require.NoError(b, err)
	require.Equal(b, batch.Cancelled, got.Status, "one that has not begun")
}

func purging(b *bench) {
	ctx := b.Context()
	rec := b.stage(1)
	r := b.reservation()
	require.Nil(b, b.reserve(r))
	_, err := b.Store.Commit(ctx, rec, &r, "print")
	require.NoError(b, err)
	require.ErrorIs(b, b.Store.Purge(ctx, rec.Key), batch.ErrNotOver)
	_, err = b.Store.Cancel(ctx, rec.Key)
	require.NoError(b, err)
	require.NoError(b, b.Store.Purge(ctx, rec.Key))
	_, err = b.Store.Get(ctx, rec.Key)
	require.ErrorIs(b, err, batch.ErrNotFound)
	for _, err = range b.Store.Results(ctx, rec.Key, 0) {
		break
	}
	require.ErrorIs(b, err, batch.ErrNotFound)
	require.ErrorIs(b, b.Store.Purge(ctx, rec.Key), batch.ErrNotFound)
	require.Nil(b, b.reserve(b.reservation()), "the key is free again")
}

func pausing(b *bench) {
	ctx := b.Context()
	rec := b.commit(2, 1)
	states := b.states(rec.Key)
	claim := b.claim(states[0].Ref, "w")
	version := b.get(rec.Key).Version
	require.NoError(b, b.Store.Pause(ctx, rec.Key, batch.PausedModelQuota))
	got := b.get(rec.Key)
	require.Equal(b, batch.Paused, got.Status)
	require.Equal(b, batch.PausedModelQuota, got.PausedReason)
	require.Greater(b, got.Version, version)
	addsUp(b, got)
	require.NoError(b, b.Store.Enqueued(ctx, states[1].Ref))
	for range 2 {
		_, err := b.Store.Claim(ctx, states[1].Ref, "w")
		require.ErrorIs(b, err, batch.ErrLost)
	}
	free := b.states(rec.Key)[1]
	require.Equal(b, states[1].Ref.Gen+1, free.Ref.Gen, "the queue is done with what it was given")
	require.Zero(b, free.EnqueuedAt)
	active, err := b.Store.Active(ctx)
	require.NoError(b, err)
	require.Contains(b, active, rec.Key)

	require.NoError(b, b.Store.Renew(ctx, claim), "who has a chunk may finish")
	progress := b.complete(claim, true, graded(claim.Chunk.Items[0]))
	require.NotNil(b, progress.Again)
	require.Equal(b, batch.Paused, b.get(rec.Key).Status)
	require.Len(b, b.states(rec.Key), 2)

	require.NoError(b, b.Store.Resume(ctx, rec.Key))
	got = b.get(rec.Key)
	require.NotEqual(b, batch.Paused, got.Status)
	require.Empty(b, got.PausedReason)
	require.NoError(b, b.Store.Resume(ctx, rec.Key))
	require.Equal(b, got, b.get(rec.Key), "resuming what runs changes nothing")
	claim = b.claim(free.Ref, "w")
	b.complete(claim, true, graded(claim.Chunk.Items[0]))

	claim = b.claim(*progress.Again, "w")
	require.NoError(b, b.Store.Pause(ctx, rec.Key, "x"))
	require.True(b, b.complete(claim, true, graded(claim.Chunk.Items[1])).Finished, "nothing is left to wait for")
	got = b.get(rec.Key)
	require.Equal(b, batch.Completed, got.Status)
	require.Empty(b, got.PausedReason)
}

func changes(b *bench) {
	ctx := b.Context()
	rec := b.commit(1)
	got, err := b.Store.Changed(ctx, rec.Key, rec.Version-1)
	require.NoError(b, err)
	require.Equal(b, rec, got, "what was missed is told at once")

	type told struct {
		*batch.Batch
		error
	}
	heard := make(chan told, 1)
	go func() {
		// It may come back unchanged after a few seconds.
		for {
			got, err := b.Store.Changed(context.WithoutCancel(ctx), rec.Key, rec.Version)
			if err != nil || got.Version != rec.Version {
				heard <- told{got, err}
				return
			}
		}
	}()
	claim := b.claim(b.states(rec.Key)[0].Ref, "w")
	b.complete(claim, true, graded(claim.Chunk.Items[0]))
	select {
	case got := <-heard:
		require.NoError(b, got.error)
		require.Greater(b, got.Version, rec.Version)
	case <-time.After(10 * time.Second):
		require.Fail(b, "the change was not heard of")
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = b.Store.Changed(ended, rec.Key, b.get(rec.Key).Version)
	require.ErrorIs(b, err, context.Canceled)
}

func enqueueing(b *bench) {
	ctx := b.Context()
	rec := b.commit(1, 1)
	states := b.states(rec.Key)
	stale := states[0].Ref
	stale.Gen += 7
	require.NoError(b, b.Store.Enqueued(ctx, stale, states[1].Ref))
	require.NoError(b, b.Store.Enqueued(ctx))
	b.Pass(3 * time.Minute)
	states = b.states(rec.Key)
	require.True(b, states[0].EnqueuedAt.IsZero(), "a ref that is not current")
	require.False(b, states[1].EnqueuedAt.IsZero())
	require.InDelta(b, 3*time.Minute, states[1].Age, float64(time.Minute))
	require.NoError(b, b.Store.Enqueued(ctx, states[1].Ref))
	require.Less(b, b.states(rec.Key)[1].Age, time.Minute)
}

func notices(b *bench) {
	ctx := b.Context()
	mine := func() []batch.Key {
		keys, err := b.Store.Notices(ctx)
		require.NoError(b, err)
		return slices.DeleteFunc(keys, func(k batch.Key) bool { return k.Tenant != b.tenant })
	}
	commit := func(url string) *batch.Batch {
		rec := b.stage(1)
		rec.Options.WebhookURL = url
		_, err := b.Store.Commit(ctx, rec, nil, "")
		require.NoError(b, err)
		return &rec
	}
	silent, done, stopped := commit(""), commit("https://example.org/a"), commit("https://example.org/b")
	require.Empty(b, mine())
	for _, rec := range []*batch.Batch{silent, done} {
		claim := b.claim(b.states(rec.Key)[0].Ref, "w")
		b.complete(claim, true, graded(claim.Chunk.Items[0]))
	}
	_, err := b.Store.Cancel(ctx, stopped.Key)
	require.NoError(b, err)
	require.ElementsMatch(b, []batch.Key{done.Key, stopped.Key}, mine())
	require.NoError(b, b.Store.Noticed(ctx, done.Key))
	require.Equal(b, []batch.Key{stopped.Key}, mine())
	_, err = b.Store.Cancel(ctx, done.Key)
	require.NoError(b, err)
	require.Equal(b, []batch.Key{stopped.Key}, mine(), "told once, for good")
	require.NoError(b, b.Store.Purge(ctx, stopped.Key))
	require.Empty(b, mine())
}

func inOrder(b *bench) {
	const chunks, size = 40, 16
	sizes := slices.Repeat([]int{size}, chunks)
	rec := b.commit(sizes...)
	states := b.states(rec.Key)
	slices.Reverse(states)
	for i, state := range states {
		claim := b.claim(state.Ref, "w")
		var results []batch.Result
		for j, item := range claim.Chunk.Items {
			if (i+j)%5 != 0 {
				results = append(results, graded(item))
			}
		}
		slices.Reverse(results)
		b.complete(claim, true, results...)
	}
	all := b.results(rec.Key, 0)
	require.Len(b, all, b.get(rec.Key).Graded)
	require.True(b, slices.IsSortedFunc(all, func(x, y batch.Result) int { return x.Index - y.Index }))
	from := slices.IndexFunc(all, func(r batch.Result) bool { return r.Index >= 321 })
	require.Equal(b, all[from:], b.results(rec.Key, 321))
	require.Empty(b, b.results(rec.Key, chunks*size))
	for _, err := range b.Store.Results(b.Context(), rec.Key, 0) {
		require.NoError(b, err)
		break // whoever has seen enough may go
	}
}

func activeOrder(b *bench) {
	var want []batch.Key
	for range 5 {
		want = append(want, b.commit(1).Key)
	}
	active, err := b.Store.Active(b.Context())
	require.NoError(b, err)
	require.Equal(b, want, slices.DeleteFunc(active, func(k batch.Key) bool { return k.Tenant != b.tenant }))
}

func unknownCost(b *bench) {
	rec := b.commit(3)
	claim := b.claim(b.states(rec.Key)[0].Ref, "w")
	results := []batch.Result{graded(claim.Chunk.Items[0]), graded(claim.Chunk.Items[1]), graded(claim.Chunk.Items[2])}
	results[0].Spent, results[1].Spent = spent(1, dollars(.125)), spent(0, nil)
	progress := b.complete(claim, false, results[:2]...)
	require.Equal(b, dollars(.125), progress.Batch.Spent.CostUSD, "what asked nobody is free")
	results[2].Spent = spent(1, nil)
	progress = b.complete(claim, true, results[2])
	require.Nil(b, progress.Batch.Spent.CostUSD)
	require.Equal(b, 2, progress.Batch.Spent.Calls)
	require.Nil(b, b.get(rec.Key).Spent.CostUSD)
}

func bytesKept(b *bench) {
	ctx := b.Context()
	rec := batch.Batch{Key: b.key(), Status: batch.Queued, Options: batch.Options{Judge: "lexical"}, Chunks: 1, Total: 3}
	c := batch.Chunk{Question: []byte("{\"q\":\"\\u0000 é \U0001F600\"}"), Items: []batch.Item{
		{Index: 0, ID: "a:b/c@d.e-f_", Answer: ""},
		{Index: 1, ID: "B", Answer: "line\r\n\ttab \x00 \u2028 é \U0001F600 \"quoted\" <b>&amp;"},
		{Index: 2, ID: "b", Answer: strings.Repeat("é", 20_000)},
	}}
	require.NoError(b, b.Store.Stage(ctx, rec.Key, batch.Chunk{Question: []byte("{}")}))
	require.NoError(b, b.Store.Stage(ctx, rec.Key, c), "staging again replaces")
	_, err := b.Store.Commit(ctx, rec, nil, "")
	require.NoError(b, err)
	claim := b.claim(b.states(rec.Key)[0].Ref, "w")
	require.Equal(b, c, claim.Chunk)
}
