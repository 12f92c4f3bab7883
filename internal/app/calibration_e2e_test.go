package app_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/calibration"
	"github.com/gradus-ai/gradus/internal/config"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// fitted writes a calibration for the lexical judge that moves the scores of
// questions by .1; each is kept under the digest it is given with.
func fitted(t *testing.T, digests map[string]string) string {
	t.Helper()
	cfg := settings(nil, "")
	a, err := app.New(t.Context(), &cfg, app.Options{Logger: newJournal().logger(), OneShot: true})
	require.NoError(t, err)
	defer a.Close()
	judge, err := a.Service().Identify(grading.Lexical)
	require.NoError(t, err)
	file := &calibration.File{Version: calibration.Version, JudgeID: judge.Judge, Judge: grading.Lexical, Questions: map[string]calibration.Correction{}}
	for ref, digest := range digests {
		file.Questions[digest] = calibration.Correction{Question: ref, Labels: 9, Offset: 0.1}
	}
	name := filepath.Join(t.TempDir(), "fit.json")
	var text bytes.Buffer
	require.NoError(t, file.Write(&text))
	require.NoError(t, os.WriteFile(name, text.Bytes(), 0o600))
	return name
}

func TestAServiceCalibratesForEveryTenant(t *testing.T) {
	t.Parallel()
	inline, err := rubric.Inline(rubric.Question{Text: onCall().Question, Criteria: []rubric.Criterion{
		{ID: "alerts", Statement: onCall().Criteria[0].Statement, Weight: 60},
		{ID: "runbooks", Statement: onCall().Criteria[1].Statement, Weight: 40},
	}})
	require.NoError(t, err)
	name := fitted(t, map[string]string{inline.Ref: inline.Digest(), "lead-platform-engineer/first-90-days": "sha256:of-another-day"})

	cfg := settings(nil, aRedis(t))
	half := "As " + canary + " I would delete every alert that nobody acts on."
	plain := serve(t, cfg).post(asking(half)).graded(grading.Miss)
	require.Nil(t, plain.Provenance.RawScore)

	const key = "a-key-of-more-than-thirty-two-characters"
	cfg.Calibration, cfg.APIKeys = name, []config.Secret{key}
	r := serve(t, cfg)
	r.log.says(t, "scores are calibrated", 1)
	r.log.says(t, `"questions":["lead-platform-engineer/first-90-days"]`, 1)
	said := r.post(asking(half), "Authorization", "Bearer "+key)
	g := said.graded(grading.Miss)
	require.InDelta(t, *plain.Score, *g.Provenance.RawScore, 0)
	require.InDelta(t, *plain.Score+10, *g.Score, 0.01)
	require.Regexp(t, "^sha256:", g.Provenance.Calibration)
	require.NotEqual(t, *plain.ID, *g.ID)
	require.Equal(t, said.but(), r.post(asking(half), "Authorization", "Bearer "+key).but(), "kept as it was made")

	// A question that has changed since is graded, and left as it is.
	other := r.post(api.GradeRequest{QuestionID: "lead-platform-engineer/first-90-days", Answer: half}, "Authorization", "Bearer "+key).graded(grading.Miss)
	require.Empty(t, other.Provenance.Calibration)
}

func TestACalibrationThatFitsNothingIsRefused(t *testing.T) {
	t.Parallel()
	cfg := settings(nil, "")
	cfg.Calibration = fitted(t, map[string]string{"lead-platform-engineer/first-90-days": "sha256:of-another-day", "gone/with-its-set": "sha256:1"})
	_, err := app.New(t.Context(), &cfg, app.Options{Logger: newJournal().logger(), OneShot: true})
	require.ErrorIs(t, err, app.ErrSetting)
	require.ErrorContains(t, err, "every question in it has changed or is not loaded")
}
