package app_test

import (
	"slices"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/config"
)

func composeProject(t *testing.T, profiles ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"../../docker-compose.yml"},
		cli.WithProfiles(profiles), cli.WithResolvedPaths(true), cli.WithInterpolation(true))
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	return project
}

func TestComposeFile(t *testing.T) {
	t.Parallel()
	project := composeProject(t)

	t.Run("gradus is published to this machine only", func(t *testing.T) {
		t.Parallel()
		ports := project.Services["gradus"].Ports
		require.NotEmpty(t, ports)
		for _, p := range ports {
			require.Equal(t, "127.0.0.1", p.HostIP)
		}
	})
	t.Run("every variable that it sets is a setting", func(t *testing.T) {
		t.Parallel()
		known := map[string]bool{}
		for _, s := range config.Settings() {
			known[s.Env] = true
		}
		for name := range project.Services["gradus"].Environment {
			require.True(t, known[name], name)
		}
	})
	t.Run("the durable Redis appends and never evicts", func(t *testing.T) {
		t.Parallel()
		redis := project.Services["redis"]
		require.True(t, follows(redis.Command, "--appendonly", "yes"))
		require.True(t, follows(redis.Command, "--maxmemory-policy", "noeviction"))
		require.NotEmpty(t, redis.Volumes)
	})
	t.Run("the cache Redis may evict", func(t *testing.T) {
		t.Parallel()
		require.True(t, follows(project.Services["cache"].Command, "--maxmemory-policy", "allkeys-lfu"))
	})
	t.Run("gradus waits until both answer, and runs without rights", func(t *testing.T) {
		t.Parallel()
		gradus := project.Services["gradus"]
		for _, name := range []string{"redis", "cache"} {
			require.Equal(t, types.ServiceConditionHealthy, gradus.DependsOn[name].Condition)
			require.NotNil(t, project.Services[name].HealthCheck)
		}
		require.True(t, gradus.ReadOnly)
		require.Equal(t, []string{"ALL"}, gradus.CapDrop)
	})
	t.Run("a local model comes only when asked for", func(t *testing.T) {
		t.Parallel()
		require.NotContains(t, project.Services, "ollama")
		require.Contains(t, composeProject(t, "local").Services, "ollama")
	})
}

// follows reports whether value stands right behind option.
func follows(command []string, option, value string) bool {
	i := slices.Index(command, option)
	return i >= 0 && i+1 < len(command) && command[i+1] == value
}
