package app

import (
	"fmt"
	"os"

	"github.com/gradus-ai/gradus/internal/config"
	"github.com/gradus-ai/gradus/internal/webhook"
)

// Check is a config.Check for what the packages behind a setting know of its
// form, and for files that are not there. What is in a file is New's concern.
func Check(c *config.Config) (faults []string) {
	for _, at := range []struct{ env, path string }{
		{"GRADUS_RUBRICS", c.Rubrics}, {"GRADUS_PROMPTS", c.Prompts}, {"GRADUS_CALIBRATION", c.Calibration},
	} {
		if at.path == "" {
			continue
		}
		if _, err := os.Stat(at.path); err != nil {
			faults = append(faults, fmt.Sprintf("%s: %v", at.env, err))
		}
	}
	for _, secret := range c.WebhookSecrets {
		if _, err := webhook.ParseSecret(secret.Reveal()); err != nil {
			faults = append(faults, fmt.Sprintf("GRADUS_WEBHOOK_SECRET: %v", err))
		}
	}
	return faults
}
