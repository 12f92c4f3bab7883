package app_test

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/config"
	"github.com/gradus-ai/gradus/internal/grading"
)

func TestALocalBatchEndsWhenItsResultsHaveNowhereToGo(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load(pflag.NewFlagSet("", pflag.ContinueOnError))
	require.NoError(t, err)
	a, err := app.New(t.Context(), cfg, app.Options{Logger: slog.New(slog.DiscardHandler), OneShot: true})
	require.NoError(t, err)
	t.Cleanup(a.Close)
	question, err := a.Library().Find("lead-platform-engineer/first-90-days")
	require.NoError(t, err)
	full := errors.New("no space left")
	taken := 0
	_, err = a.GradeLocally(t.Context(), app.Local{
		Options: batch.Options{Judge: grading.Lexical},
		Fill: func(add app.Add) error {
			for i := range 500 {
				if err := add(fmt.Sprint(i), i, question, fmt.Sprintf("I would interview squad %d first.", i)); err != nil {
					return err
				}
			}
			return nil
		},
		Each: func(batch.Result) error {
			if taken++; taken > 20 {
				return full
			}
			return nil
		},
	})
	require.ErrorIs(t, err, full)
}
