package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/store"
)

func TestDamagedRecordsAreErrorsAndNeverGrades(t *testing.T) {
	t.Parallel()
	eachBatchStore(t, func(t *testing.T, b *store.Batches, c *redis.Client) {
		ctx := t.Context()
		input, rows := b.Prefix()+"input:acme:", b.Prefix()+"rows:acme:"
		for name, spoil := range map[string]func(id string){
			"answers flipped":     func(id string) { flip(t, c, input+id, "0") },
			"answers cut":         func(id string) { c.HSet(ctx, input+id, "0", "A12345678") },
			"answers gone":        func(id string) { c.HDel(ctx, input+id, "0") },
			"answers of another":  func(id string) { c.HSet(ctx, input+id, "0", c.HGet(ctx, input+id, "1").Val()) },
			"answers of nobody":   func(id string) { c.HSet(ctx, input+id, "0", "\x00") },
			"answers of tomorrow": func(id string) { c.HSet(ctx, input+id, "0", "Z"+c.HGet(ctx, input+id, "0").Val()[1:]) },
			"a question flipped": func(id string) {
				for field := range c.HGetAll(ctx, input+id).Val() {
					if strings.HasPrefix(field, "q") {
						flip(t, c, input+id, field)
					}
				}
			},
		} {
			id := "ba_" + strings.ReplaceAll(name, " ", "_")
			rec := submit(t, b, "acme", id, 2)
			spoil(id)
			claim := take(t, b, rec, 0)
			require.Empty(t, claim.Chunk.Question, "%s: cannot be graded", name)
			require.Equal(t, []batch.Item{{Index: 0, ID: "first-0"}, {Index: 1, ID: "second-0"}}, claim.Chunk.Items, name)
			var failed []batch.Result
			for _, item := range claim.Chunk.Items {
				failed = append(failed, batch.Result{Index: item.Index, ID: item.ID, Status: batch.RowFailed, Reason: batch.ReasonInternal})
			}
			_, err := b.Complete(ctx, claim, failed, true)
			require.NoError(t, err, "a batch can always be ended")
		}

		for name, spoil := range map[string]func(id string){
			"a row flipped":    func(id string) { flip(t, c, rows+id, "1") },
			"a row gone":       func(id string) { c.HDel(ctx, rows+id, "1") },
			"a row of another": func(id string) { c.HSet(ctx, rows+id, "1", c.HGet(ctx, rows+id, "0").Val()) },
			"a row of nobody":  func(id string) { c.HSet(ctx, rows+id, "1", "") },
			"a row pending":    func(id string) { c.HSet(ctx, rows+id, "1", "-second-0") },
		} {
			id := "ba_" + strings.ReplaceAll(name, " ", "_")
			rec := submit(t, b, "acme", id, 2)
			for range 2 {
				claim := take(t, b, rec, 0)
				_, err := b.Complete(ctx, claim, resultsOf(claim), true)
				require.NoError(t, err)
			}
			spoil(id)
			var whole, damaged []int
			for result, err := range b.Results(ctx, rec.Key, 0) {
				if err != nil {
					require.ErrorIs(t, err, store.ErrDamaged, name)
					require.NotContains(t, err.Error(), "secret")
					damaged = append(damaged, result.Index)
					continue
				}
				whole = append(whole, result.Index)
			}
			require.Equal(t, []int{1}, damaged, name)
			require.Equal(t, []int{0, 2, 3}, whole, "%s: the others can be read", name)
		}

		for name, spoil := range map[string]func(string){
			"numbers":  func(key string) { c.HSet(ctx, key, "graded", "many") },
			"options":  func(key string) { c.HSet(ctx, key, "options", "{secret") },
			"no state": func(key string) { c.HDel(ctx, key, "status") },
		} {
			rec := submit(t, b, "acme", "ba_"+name, 1)
			spoil(b.Prefix() + "batch:acme:" + rec.ID)
			_, err := b.Get(ctx, rec.Key)
			require.ErrorIs(t, err, store.ErrDamaged, name)
			require.NotContains(t, err.Error(), "secret")
		}
		rec := submit(t, b, "acme", "ba_type", 1)
		c.Set(ctx, b.Prefix()+"batch:acme:ba_type", "secret", 0)
		_, err := b.Get(ctx, rec.Key)
		require.ErrorIs(t, err, store.ErrUnavailable)
		require.NotContains(t, err.Error(), "secret")
		for _, line := range []string{"", "1 2 3", "1 0 2 0 0 0 - - q 0-1 more", strings.Repeat("x ", 10)} {
			rec := submit(t, b, "acme", "ba_line"+fmt.Sprint(len(line)), 2)
			c.HSet(ctx, b.Prefix()+"chunks:acme:"+rec.ID, "0", line)
			states, err := b.Chunks(ctx, rec.Key)
			require.NoError(t, err)
			require.Len(t, states, 1, "the others go on")
			_, err = b.Claim(ctx, batch.Ref{Key: rec.Key, Gen: 1}, "w")
			require.ErrorIs(t, err, batch.ErrLost)
		}
	})
}

// flip changes the last byte of a field.
func flip(t *testing.T, c *redis.Client, key, field string) {
	t.Helper()
	value := []byte(c.HGet(t.Context(), key, field).Val())
	require.NotEmpty(t, value)
	value[len(value)-1] ^= 1
	require.NoError(t, c.HSet(t.Context(), key, field, value).Err())
}

func TestResultsOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	eachBatchStore(t, func(t *testing.T, b *store.Batches, _ *redis.Client) {
		rec := submit(t, b, "acme", "ba_1", 2)
		one, two := take(t, b, rec, 0), take(t, b, rec, 1)
		renamed := resultOf(one.Chunk.Items[0])
		renamed.ID = "somebody"
		for _, results := range [][]batch.Result{resultsOf(two), {resultOf(one.Chunk.Items[1]), renamed}, {resultOf(batch.Item{Index: 99})}} {
			_, err := b.Complete(t.Context(), one, results, true)
			require.Error(t, err)
			require.NotErrorIs(t, err, batch.ErrLost)
		}
		got, err := b.Get(t.Context(), rec.Key)
		require.NoError(t, err)
		require.Zero(t, got.Graded, "all of it or nothing")
		twice := append(resultsOf(one), resultsOf(one)...)
		p, err := b.Complete(t.Context(), one, twice, true)
		require.NoError(t, err)
		require.Equal(t, 2, p.Batch.Graded)
	})
}
