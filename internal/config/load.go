package config

import (
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// delim never occurs in a key: settings are flat.
const delim = "\x00"

// Flags adds a flag for every setting that is not a secret.
func Flags(flags *pflag.FlagSet) {
	for _, s := range settings {
		if s.Secret {
			continue
		}
		usage := fmt.Sprintf("%s [%s]", s.Usage, s.Env)
		if s.Default == "false" {
			flags.Bool(s.Key, false, usage)
			continue
		}
		flags.String(s.Key, s.Default, usage)
	}
}

// Load reads the environment and the flags that were given (flags may be nil)
// and returns a valid configuration or an *InvalidError.
func Load(flags *pflag.FlagSet) (*Config, error) {
	return load(flags, os.Environ(), os.ReadFile)
}

func load(flags *pflag.FlagSet, environ []string, readFile func(string) ([]byte, error)) (*Config, error) {
	k := koanf.New(delim)
	defaults := map[string]any{}
	for _, s := range settings {
		defaults[s.Key] = s.Default
	}
	if err := k.Load(confmap.Provider(defaults, delim), nil); err != nil {
		return nil, fmt.Errorf("read defaults: %w", err)
	}
	var faults []string
	fromEnv := env.Provider(delim, env.Opt{
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			i := slices.IndexFunc(settings, func(s Setting) bool {
				return s.Env == name || (s.File && s.Env+"_FILE" == name)
			})
			// An empty variable counts as unset: compose files pass those.
			if i < 0 || value == "" {
				return "", nil
			}
			if name != settings[i].Env {
				content, err := readFile(value)
				if err != nil {
					faults = append(faults, fmt.Sprintf("%s: %v", name, err))
					return "", nil
				}
				value = strings.TrimSpace(strings.ReplaceAll(string(content), "\n", ","))
				value = strings.Trim(value, ",")
			}
			return settings[i].Key, value
		},
	})
	if err := k.Load(fromEnv, nil); err != nil {
		return nil, fmt.Errorf("read environment: %w", err)
	}
	if flags != nil {
		if err := k.Load(posflag.Provider(flags, delim, k), nil); err != nil {
			return nil, fmt.Errorf("read flags: %w", err)
		}
	}
	var c Config
	err := k.UnmarshalWithConf("", &c, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		Result: &c, TagName: "koanf", WeaklyTypedInput: true,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(decodeSetting),
	}})
	if err != nil {
		faults = append(faults, tidy(err))
	} else if err := c.Validate(); err != nil {
		faults = append(faults, err.(*InvalidError).Faults...)
	}
	if len(faults) > 0 {
		return nil, &InvalidError{Faults: faults}
	}
	return &c, nil
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	priceType    = reflect.TypeFor[Price]()
	levelType    = reflect.TypeFor[slog.Level]()
)

// decodeSetting turns the text of a setting into its type.
func decodeSetting(_, to reflect.Type, value any) (any, error) {
	s, ok := value.(string)
	if !ok {
		return value, nil
	}
	switch {
	case to == durationType:
		return ParseDuration(s)
	case to == priceType:
		return ParsePrice(s)
	case to == levelType:
		var level slog.Level
		if err := level.UnmarshalText([]byte(s)); err != nil {
			return nil, fmt.Errorf("%q is not a log level", s)
		}
		return level, nil
	case to.Kind() == reflect.Slice:
		return list(s), nil
	}
	return value, nil
}

// list splits at commas and drops what is empty.
func list(s string) []string {
	var out []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// tidy names the settings of a decode error by their environment variables.
func tidy(err error) string {
	msg := strings.Join(strings.Fields(err.Error()), " ")
	for _, s := range settings {
		msg = strings.ReplaceAll(msg, "'"+s.Key+"'", s.Env)
	}
	return msg
}
