package main

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/llm/llmtest"
)

func answersAll(llmtest.Request) llmtest.Step { return allMet }

// sendBench is a bench whose answers go to a provider's batches.
func sendBench(t *testing.T, model *llmtest.Server, n, distinct int, more ...string) *bench {
	t.Helper()
	flags := append([]string{"--provider-batch", "--price", "1,1,1"}, more...)
	return newBench(t, n, distinct, withModel(model, flags...)...)
}

func (b *bench) note() string { return b.out + ".provider.json" }

// interrupted runs the command and interrupts it once wait returns.
func (b *bench) interrupted(wait func()) {
	b.t.Helper()
	ctx, interrupt := context.WithCancel(b.t.Context())
	go func() {
		wait()
		interrupt()
	}()
	require.Equal(b.t, exitInterrupted, b.run(ctx), b.said)
}

func TestProviderBatchCostsHalfAndAsksNothingLive(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t) // no step: nothing may be asked live
	batches := model.TakeBatches(answersAll)
	batches.End("completed")
	b := sendBench(t, model, 12, 5)
	require.Equal(t, exitOK, b.run(t.Context()), b.said)
	b.complete()
	lines := batches.Lines()
	require.Len(t, lines, 1)
	require.Len(t, lines[0], 5, "equal answers are sent once")
	for _, request := range lines[0] {
		require.Equal(t, "json_schema", request.Format)
		require.Equal(t, "0", request.Param("temperature"))
		require.Contains(t, request.Last(), batchWord)
	}
	// 5 replies of 100 and 20 tokens at a dollar a million, at half.
	require.Contains(t, b.ran, "5 calls, 500 tokens in, 100 out, $0.0003;")
	cost := 0.0
	for _, row := range b.rows() {
		if spent := row.Grade.Usage.CostUSD; spent != nil {
			cost += *spent
		}
	}
	require.InDelta(t, 300e-6, cost, 1e-9)
	require.NoFileExists(t, b.note())
	require.Zero(t, batches.Files(), "nothing of the answers stays there")
}

func TestProviderBatchIsCollectedByALaterRun(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t)
	batches := model.TakeBatches(answersAll)
	b := sendBench(t, model, 6, 6)
	b.interrupted(func() { batches.Looked(1) })
	require.Contains(t, b.said, "the provider goes on with what was sent")
	note, err := os.ReadFile(b.note())
	require.NoError(t, err)
	require.NotContains(t, string(note), batchWord)
	batches.End("completed")
	require.Equal(t, exitOK, b.run(t.Context()), b.said)
	b.complete()
	require.Len(t, batches.Lines(), 1, "sent once")
	require.NoFileExists(t, b.note())
}

// What expires is asked live, and only that.
func TestProviderBatchThatExpiresIsFinishedLive(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, allMet.Times(2))
	batches := model.TakeBatches(func(r llmtest.Request) llmtest.Step {
		if strings.Contains(r.Last(), " 0:") || strings.Contains(r.Last(), " 1:") {
			return llmtest.Step{}
		}
		return allMet
	})
	batches.End("expired")
	b := sendBench(t, model, 6, 6)
	require.Equal(t, exitOK, b.run(t.Context()), b.said)
	b.complete()
	require.Contains(t, b.said, "2 × batch_expired")
	require.Contains(t, b.said, "2 answers got no reply in a batch and are asked about live")
	require.Len(t, batches.Lines(), 1)
}

// A reply that has to be repaired is repaired live.
func TestProviderBatchLeavesWhatFollowsToTheJudge(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, allMet)
	model.TakeBatches(func(llmtest.Request) llmtest.Step { return llmtest.Reply("no verdict") }).End("completed")
	b := sendBench(t, model, 1, 1)
	require.Equal(t, exitOK, b.run(t.Context()), b.said)
	b.complete()
	require.Equal(t, 2, b.rows()["i0"].Grade.Usage.Calls)
}

// The reply that says which batch was made is lost: it is found by its tag.
func TestProviderBatchIsNotMadeTwice(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]llmtest.Step{
		"when the connection breaks":               llmtest.Reset(),
		"when the provider fails after making it":  llmtest.Status(503, ""),
		"when the command ends before it hears it": llmtest.Hang(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			model := llmtest.New(t)
			batches := model.TakeBatches(answersAll)
			batches.LoseReply(lost)
			batches.End("completed")
			b := sendBench(t, model, 3, 3)
			if strings.Contains(name, "command") {
				b.interrupted(batches.Made)
			}
			require.Equal(t, exitOK, b.run(t.Context()), b.said)
			b.complete()
			require.Len(t, batches.Lines(), 1)
		})
	}
}

// What the provider no longer knows is not sent anew by itself: it may be paid for.
func TestProviderBatchThatIsGoneIsLeftToAPerson(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t)
	batches := model.TakeBatches(answersAll)
	batches.End("completed")
	b := sendBench(t, model, 3, 3)
	require.NoError(t, os.WriteFile(b.note(), []byte(`{"secret":"s3cretsecretsecret","batches":[{"tag":"t","id":"batch_9","answers":{}}]}`), 0o600))
	require.Equal(t, exitFailure, b.run(t.Context()))
	require.Contains(t, b.said, "without "+b.note()+" sends it anew")
	require.NoError(t, os.Remove(b.note()))
	require.Equal(t, exitOK, b.run(t.Context()), b.said)
	b.complete()
}

func TestProviderBatchThatIsNotTakenIsForgotten(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t)
	batches := model.TakeBatches(answersAll)
	batches.LoseReply(llmtest.Failure(403, "billing_not_active", "no"))
	b := sendBench(t, model, 3, 3)
	require.Equal(t, exitFailure, b.run(t.Context()))
	require.Contains(t, b.said, "the provider took no batch")
	require.Contains(t, b.said, "billing_not_active")
	require.NoFileExists(t, b.note())
}

func TestProviderBatchThatIsRefusedIsSentAgain(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t)
	batches := model.TakeBatches(answersAll)
	batches.End("failed")
	b := sendBench(t, model, 3, 3)
	require.Equal(t, exitFailure, b.run(t.Context()), b.said)
	require.Contains(t, b.said, "token_limit_exceeded")
	batches.End("completed")
	require.Equal(t, exitOK, b.run(t.Context()), b.said)
	b.complete()
	require.Len(t, batches.Lines(), 2)
}

// Whoever cancels at the provider does not want the rest asked live.
func TestProviderBatchThatIsCancelledIsNotFinishedLive(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t)
	model.TakeBatches(func(r llmtest.Request) llmtest.Step {
		if strings.Contains(r.Last(), " 0:") {
			return llmtest.Step{}
		}
		return allMet
	}).End("cancelled")
	b := sendBench(t, model, 3, 3)
	require.Equal(t, exitFailure, b.run(t.Context()), b.said)
	require.Contains(t, b.said, "1 answer got no reply")
	require.Len(t, b.rows(), 2)
	require.NoFileExists(t, b.note())
}

// A whole batch of refusals is no reason to pay twice as much for more of them.
func TestProviderBatchWithoutAnyReplyIsAnError(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t)
	model.TakeBatches(func(llmtest.Request) llmtest.Step { return llmtest.Failure(404, "model_not_found", "no") }).End("completed")
	b := sendBench(t, model, 3, 3)
	require.Equal(t, exitFailure, b.run(t.Context()), b.said)
	require.Contains(t, b.said, "3 × model_not_found")
	require.NoFileExists(t, b.note())
}

func TestProviderBatchRefusesRepliesToOtherRequests(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t)
	batches := model.TakeBatches(answersAll)
	b := sendBench(t, model, 3, 3)
	b.interrupted(func() { batches.Looked(1) })
	batches.End("completed")
	text, err := os.ReadFile(b.in)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(b.in, []byte(strings.Replace(string(text), " 2:", " two:", 1)), 0o600))
	require.Equal(t, exitUsage, b.run(t.Context()))
	require.Contains(t, b.said, "i2 was sent to the provider as another answer")
	require.NoError(t, os.WriteFile(b.in, text, 0o600))
	require.Equal(t, exitOK, b.run(t.Context()), b.said)
	b.complete()
}

func TestProviderBatchKnowsItsPriceBeforehand(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t)
	batches := model.TakeBatches(answersAll)
	batches.End("completed")
	b := sendBench(t, model, 100, 100)
	cost := func() string { return b.ran[strings.LastIndex(b.ran, "about $"):] }
	require.Equal(t, exitOK, b.run(t.Context(), "--estimate", "--price", "20,20,20"))
	half := cost()
	b.flags = withModel(model)
	require.Equal(t, exitOK, b.run(t.Context(), "--estimate", "--price", "10,10,10"))
	require.Equal(t, cost(), half)
	require.Empty(t, batches.Lines())

	b = sendBench(t, model, 100, 100, "--max-cost", "0.001")
	require.Equal(t, exitUsage, b.run(t.Context()))
	require.Contains(t, b.said, "nothing was sent")
	b.flags = withModel(model, "--provider-batch", "--max-cost", "1")
	require.Equal(t, exitUsage, b.run(t.Context()))
	require.Contains(t, b.said, "GRADUS_PRICE")
	require.Empty(t, batches.Lines())
	require.NoFileExists(t, b.note())
}

func TestProviderBatchNeedsAModelAndAFile(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, 1, "--provider-batch")
	require.Equal(t, exitUsage, b.run(t.Context()))
	require.Contains(t, b.said, "no model is configured")
	require.Equal(t, exitUsage, b.run(t.Context(), "--server", "http://127.0.0.1:1"))
	require.Contains(t, b.said, "leave out --server")
	require.Equal(t, exitUsage, b.run(t.Context(), "-o", "-"))
	require.Contains(t, b.said, "needs a file")
}
