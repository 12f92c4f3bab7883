package app_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
)

func TestToldToStopItFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	model := llmtest.New(t, llmtest.Hold(release, generous).Times(3))
	r := serve(t, settings(model, aRedis(t)))
	var requests []posted
	for i := range 3 {
		requests = append(requests, r.begin(t.Context(), asking(answer(t, fmt.Sprint("Number ", i)))))
	}
	model.Arrived(3)

	r.end()
	r.log.says(t, "stopping", 1)
	until(t, "new connections are refused", func() bool {
		conn, err := net.Dial("tcp", r.addr)
		if err == nil {
			_ = conn.Close() // accepted before the listener closed
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	_, err := r.do(t.Context(), http.MethodPost, "/v1/grades", asking("too late"))
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	select {
	case err := <-r.ended:
		require.Fail(t, "ended with requests in flight", "%v", err)
	default:
	}

	close(release)
	for _, p := range requests {
		o := p.ends(t)
		require.NoError(t, o.err)
		require.InDelta(t, 100, *o.graded(grading.Miss).Score, 0)
	}
	r.stop() // demands nil of Serve
}

func TestEndingDoesNotWaitForWhatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, llmtest.Hang())
	r := serve(t, settings(model, ""))
	ctx, leave := context.WithCancel(t.Context())
	p := r.begin(ctx, asking(answer(t)))
	model.Arrived(1)
	leave()
	require.Error(t, p.ends(t).err)
	r.stop()
}

const twoQuestions = `version: 1
id: rota
title: The rota
questions:
  - id: alerts
    kind: technical
    question: Which alerts would you keep?
    criteria:
      - {id: deletes, statement: Deletes alerts that nobody acts on, weight: 60}
      - {id: runbooks, statement: %s, weight: 40}
  - id: nights
    kind: technical
    question: How would you make nights bearable?
    criteria:
      - {id: deletes, statement: Deletes alerts that nobody acts on, weight: 60}
      - {id: runbooks, statement: Writes a runbook for every alert that stays, weight: 40}
`

// deploy writes a set aside and moves it, as a careful deployment does.
func deploy(t *testing.T, folder, content string) {
	t.Helper()
	aside := filepath.Join(t.TempDir(), "rota.yaml")
	require.NoError(t, os.WriteFile(aside, []byte(content), 0o600))
	require.NoError(t, os.Rename(aside, filepath.Join(folder, "rota.yaml")))
}

func TestAChangedQuestionIsGradedAnewAndItsNeighbourIsNot(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	deploy(t, folder, fmt.Sprintf(twoQuestions, "Writes a runbook for every alert that stays"))
	model := llmtest.New(t, always(generous))
	cfg := settings(model, aRedis(t))
	cfg.Rubrics = folder
	r := serve(t, cfg)
	changed := api.GradeRequest{QuestionID: "rota/alerts", Answer: answer(t)}
	neighbour := api.GradeRequest{QuestionID: "rota/nights", Answer: answer(t)}
	r.log.says(t, "rubrics reloaded", 1) // the first look of the watch
	before := r.post(changed).graded(grading.Miss)
	r.post(neighbour).graded(grading.Miss)

	deploy(t, folder, fmt.Sprintf(twoQuestions, "Writes a runbook for each alert that stays"))
	r.log.says(t, "rubrics reloaded", 2)
	after := r.post(changed).graded(grading.Miss)
	r.post(neighbour).graded(grading.Hit)
	require.NotEqual(t, before.ID, after.ID)
	require.NotEqual(t, before.Provenance.RubricDigest, after.Provenance.RubricDigest)
	require.Equal(t, "Writes a runbook for each alert that stays", after.Criteria[1].Statement)
	require.Equal(t, http.StatusOK, r.get("/v1/grades/"+*before.ID).status, "the old grade can still be read")

	deploy(t, folder, "version: 1\nid: rota\nquestions: [")
	r.log.says(t, "rubrics not reloaded", 1)
	r.post(changed).graded(grading.Hit)
	status, found := r.ready()
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, api.Degraded, check(found, "rubrics").Status)
}

func TestTheNextModelAnswersForOneThatIsDown(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, llmtest.Always(func(r llmtest.Request) llmtest.Step {
		if r.Model == "first-model" {
			return llmtest.Failure(http.StatusInternalServerError, "server_error", wordOfModel)
		}
		return generous
	}))
	cfg := settings(model, "")
	cfg.OpenAIModels = []string{"first-model", "second-model"}
	r := serve(t, cfg)
	g := r.post(asking(answer(t))).graded(grading.Miss)
	require.InDelta(t, 100, *g.Score, 0)
	require.Equal(t, "second-model", g.Provenance.Model, "whose judgement it is")
	require.False(t, g.Provenance.Degraded)
	require.InDelta(t, 1, r.metric(`gradus_model_fallbacks_total{from="first-model",reason="unavailable",to="second-model"}`), 0)
	r.post(asking(answer(t))).graded(grading.Hit)
}

func TestARefusalIsPutToOneOtherModel(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, llmtest.Refusal(), generous.As("second-model"))
	cfg := settings(model, "")
	cfg.OpenAIModels = []string{"first-model", "second-model", "third-model"}
	r := serve(t, cfg)
	g := r.post(asking(answer(t))).graded(grading.Miss)
	require.InDelta(t, 100, *g.Score, 0)
	require.Equal(t, "second-model", g.Provenance.Model)
}
