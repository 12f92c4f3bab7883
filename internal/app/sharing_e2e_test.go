package app_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/config"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

func TestTwoHundredIdenticalRequestsCostOneCall(t *testing.T) {
	t.Parallel()
	const crowd = 200
	release := make(chan struct{})
	model := llmtest.New(t, llmtest.Hold(release, generous)) // a second call would fail the test
	redis := aRedis(t)
	services := []*running{serve(t, settings(model, redis)), serve(t, settings(model, redis))}

	body := asking(answer(t))
	requests := make([]posted, crowd)
	for i := range requests {
		requests[i] = services[i%len(services)].begin(t.Context(), body)
	}
	for _, p := range requests {
		<-p.sent
	}
	model.Arrived(1)
	close(release)

	sources := map[string]int{}
	calls := 0
	var first map[string]any
	for _, p := range requests {
		o := p.ends(t)
		require.NoError(t, o.err)
		source := o.header.Get("X-Cache")
		sources[source]++
		calls += o.graded(grading.Source(source)).Usage.Calls
		body := o.but("usage")
		if first == nil {
			first = body
		}
		require.Empty(t, cmp.Diff(first, body), "all got the same grade")
	}
	require.Equal(t, 1, model.Calls())
	require.Equal(t, 1, sources["miss"], "%v", sources)
	require.Equal(t, crowd-1, sources["shared"]+sources["hit"], "%v", sources)
	require.Equal(t, 1, calls, "what it cost is told once")
	require.InDelta(t, 100, first["score"], 0)
}

func TestAGradeOutlivesTheProcessThatMadeIt(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, generous)
	cfg, body := settings(model, aRedis(t)), asking(answer(t))
	before := serve(t, cfg)
	made := before.post(body)
	id := *made.graded(grading.Miss).ID
	before.stop()

	after := serve(t, cfg)
	hit := after.post(body)
	require.Zero(t, hit.graded(grading.Hit).Usage, "a hit spends nothing")
	require.Empty(t, cmp.Diff(made.but("usage"), hit.but("usage")))
	require.Equal(t, hit.body, after.get("/v1/grades/"+id).body)
}

func TestFreshGradesReplaceAndForgottenOnesAreGone(t *testing.T) {
	t.Parallel()
	harsh := llmtest.Reply(verdicts(`"met","confidence":95`, `"partial","confidence":95`))
	model := llmtest.New(t, generous, harsh, generous)
	redis := aRedis(t)
	one, other := serve(t, settings(model, redis)), serve(t, settings(model, redis))
	body := asking(answer(t))

	first := one.post(body).graded(grading.Miss)
	require.InDelta(t, 100, *first.Score, 0)
	require.InDelta(t, 100, *other.post(body).graded(grading.Hit).Score, 0)

	fresh := one.post(body, "Cache-Control", "no-cache").graded(grading.Miss)
	require.InDelta(t, 80, *fresh.Score, 0)
	require.Equal(t, first.ID, fresh.ID, "replaced under the same id")
	require.InDelta(t, 80, *one.post(body).graded(grading.Hit).Score, 0)
	until(t, "the other process hears that its copy is old", func() bool {
		return *other.post(body).graded(grading.Hit).Score == 80
	})

	path := "/v1/grades/" + *first.ID
	require.Equal(t, http.StatusNoContent, other.forget(path).status)
	other.get(path).refused(api.UnknownGrade)
	until(t, "the first process hears of it", func() bool { return one.get(path).status == http.StatusNotFound })
	require.InDelta(t, 100, *one.post(body).graded(grading.Miss).Score, 0)
	require.Equal(t, 3, model.Calls())
}

func TestASpoiltEntryIsAMissThatGetsReplaced(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(kept []byte) []byte{
		"one byte of the score changed": func(kept []byte) []byte {
			return bytes.Replace(kept, []byte(`"score":100`), []byte(`"score":999`), 1)
		},
		"cut short": func(kept []byte) []byte { return kept[:len(kept)/2] },
		"not ours":  func([]byte) []byte { return []byte(`{"score":100}`) },
		"empty":     func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			model := llmtest.New(t, generous, generous)
			cfg, body := settings(model, aRedis(t)), asking(answer(t))
			writer := serve(t, cfg)
			id := *writer.post(body).graded(grading.Miss).ID
			writer.stop()

			redis, key := storetest.Shared(t).Client(t), "gradus:grade:local:"+id
			kept, err := redis.Get(t.Context(), key).Bytes()
			require.NoError(t, err)
			spoilt := spoil(kept)
			require.NotEqual(t, kept, spoilt)
			require.NoError(t, redis.Set(t.Context(), key, spoilt, 0).Err())

			reader := serve(t, cfg)
			require.InDelta(t, 100, *reader.post(body).graded(grading.Miss).Score, 0)
			again, err := redis.Get(t.Context(), key).Bytes()
			require.NoError(t, err)
			require.Len(t, again, len(kept), "whole again")
			reader.post(body).graded(grading.Hit)
		})
	}
}

func TestTenantsShareNothing(t *testing.T) {
	t.Parallel()
	const key = "a-key-of-thirty-two-characters-or-more"
	model := llmtest.New(t, generous, generous)
	open := settings(model, aRedis(t))
	locked := open
	locked.APIKeys = []config.Secret{key}
	ours, theirs := serve(t, open), serve(t, locked)
	body := asking(answer(t))

	id := *ours.post(body).graded(grading.Miss).ID
	theirs.post(body).refused(api.KeyNeeded)
	require.NotEqual(t, id, *theirs.post(body, "Authorization", "Bearer "+key).graded(grading.Miss).ID, "the same answer is another grade")
	resp, err := theirs.do(t.Context(), http.MethodGet, "/v1/grades/"+id, nil, "Authorization", "Bearer "+key)
	theirs.must(resp, err).refused(api.UnknownGrade)
	require.NotContains(t, string(theirs.log.bytes()), key)
}

func TestABlankAnswerCostsNoCall(t *testing.T) {
	t.Parallel()
	r := serve(t, settings(llmtest.New(t), ""))
	for _, text := range []string{"", " \n\t", "\u200b\u200b", "..."} {
		g := r.post(asking(text)).graded(grading.Miss)
		require.InDelta(t, 0, *g.Score, 0)
		require.Zero(t, g.Usage.Calls)
	}
}

// TestWhoeverLeavesLeavesNothingBehind is not parallel: it counts goroutines,
// and tells from their stacks who waits.
func TestWhoeverLeavesLeavesNothingBehind(t *testing.T) {
	const answers = 20
	release := make(chan struct{})
	model := llmtest.New(t, generous, llmtest.Hang().Times(answers), llmtest.Hold(release, generous))
	r := serve(t, settings(model, aRedis(t)))
	r.post(asking(answer(t))).graded(grading.Miss) // what stays for the next request is there now
	r.client.CloseIdleConnections()
	calm := runtime.NumGoroutine()

	// The last to leave ends the call to the model.
	ctx, leave := context.WithCancelCause(t.Context())
	var requests []posted
	for i := range answers {
		body := asking(answer(t, fmt.Sprint("Number ", i)))
		requests = append(requests, r.begin(ctx, body), r.begin(ctx, body))
	}
	awaitWaiting(t, 2*answers)
	model.Arrived(1 + answers)
	leave(errLeft)
	for _, p := range requests {
		require.ErrorIs(t, p.ends(t).err, errLeft)
	}
	until(t, "the calls are cancelled", func() bool {
		return r.metric(`gradus_model_attempt_duration_seconds_count{model="first-model",outcome="cancelled"}`) == answers
	})

	// While somebody waits the call goes on, though whoever began it has left.
	ctx, leave = context.WithCancelCause(t.Context())
	body := asking(answer(t, "Last"))
	impatient := r.begin(ctx, body)
	model.Arrived(1 + answers + 1)
	patient := r.begin(t.Context(), body)
	awaitWaiting(t, 2)
	leave(errLeft)
	require.ErrorIs(t, impatient.ends(t).err, errLeft)
	awaitWaiting(t, 1)
	close(release)
	o := patient.ends(t)
	require.NoError(t, o.err)
	require.Equal(t, 1, o.graded(grading.Miss).Usage.Calls, "who waited on is told what it cost")

	until(t, "all that the requests began has ended", func() bool {
		r.client.CloseIdleConnections()
		return runtime.NumGoroutine() <= calm
	})
}

// awaitWaiting waits until so many requests wait for a computation in flight.
// Nothing tells that a request has joined one, so it is read off the stacks.
func awaitWaiting(t *testing.T, n int) {
	t.Helper()
	until(t, fmt.Sprint(n, " requests wait"), func() bool {
		stacks := make([]byte, 4<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		waiting := 0
		for stack := range bytes.SplitSeq(stacks, []byte("\n\n")) {
			head, frames, _ := bytes.Cut(stack, []byte("\n"))
			if bytes.Contains(head, []byte("[select")) && bytes.HasPrefix(frames, []byte("github.com/gradus-ai/gradus/internal/store.(*Store).share(")) {
				waiting++
			}
		}
		return waiting == n
	})
}
