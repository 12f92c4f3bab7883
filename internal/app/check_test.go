package app

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/config"
)

func TestASettingIsCheckedBeforeAnythingIsMadeOfIt(t *testing.T) {
	t.Parallel()
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	for env, c := range map[string]config.Config{
		"GRADUS_RUBRICS":        {Rubrics: nowhere},
		"GRADUS_PROMPTS":        {Prompts: nowhere},
		"GRADUS_CALIBRATION":    {Calibration: nowhere},
		"GRADUS_WEBHOOK_SECRET": {WebhookSecrets: []config.Secret{"hush"}},
	} {
		faults := Check(&c)
		require.Len(t, faults, 1, env)
		require.True(t, strings.HasPrefix(faults[0], env+": "), faults[0])
		require.NotContains(t, faults[0], "hush")
	}
	require.Empty(t, Check(&config.Config{
		Rubrics: t.TempDir(), WebhookSecrets: []config.Secret{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
	}))
}
