// SPDX-License-Identifier: GPL-2.0-or-later
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"sigs.k8s.io/yaml"
)

type kubeVersion struct{ Version, Major, Minor string }

// What a template's dot is. Chart.yaml's keys are capitalized there.
func scope(chart, values map[string]interface{}, release, namespace, kube string) map[string]interface{} {
	capitalized := map[string]interface{}{}
	for key, value := range chart {
		capitalized[strings.ToUpper(key[:1])+key[1:]] = value
	}
	parts := strings.SplitN(strings.TrimPrefix(kube, "v"), ".", 3)
	return map[string]interface{}{
		"Values": values,
		"Chart":  capitalized,
		"Release": map[string]interface{}{"Name": release, "Namespace": namespace, "Service": "Helm",
			"IsInstall": true, "IsUpgrade": false, "Revision": 1},
		"Capabilities": map[string]interface{}{
			"KubeVersion": kubeVersion{Version: kube, Major: parts[0], Minor: parts[1]}},
	}
}

func toYaml(value interface{}) (string, error) {
	text, err := yaml.Marshal(value)
	return strings.TrimSuffix(string(text), "\n"), err
}

func fromYaml(text string) (map[string]interface{}, error) {
	object := map[string]interface{}{}
	err := yaml.Unmarshal([]byte(text), &object)
	return object, err
}

func toJson(value interface{}) (string, error) {
	text, err := json.Marshal(value)
	return string(text), err
}

func required(message string, value interface{}) (interface{}, error) {
	if value == nil || value == "" {
		return nil, fmt.Errorf("%s", message)
	}
	return value, nil
}

// The functions that Helm adds to sprig's, and without those that it takes away.
func functions(all *template.Template) template.FuncMap {
	table := sprig.TxtFuncMap()
	delete(table, "env")
	delete(table, "expandenv")
	table["toYaml"] = toYaml
	table["fromYaml"] = fromYaml
	table["toJson"] = toJson
	table["required"] = required
	// Without a cluster there is nothing to find, as with `helm template`.
	table["lookup"] = func(string, string, string, string) map[string]interface{} {
		return map[string]interface{}{}
	}
	table["include"] = func(name string, data interface{}) (string, error) {
		var out bytes.Buffer
		err := all.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	table["tpl"] = func(text string, data interface{}) (string, error) {
		clone, err := all.Clone()
		if err != nil {
			return "", err
		}
		parsed, err := clone.New("tpl").Parse(text)
		if err != nil {
			return "", err
		}
		var out bytes.Buffer
		err = parsed.Execute(&out, data)
		return out.String(), err
	}
	return table
}

// The objects of all templates in the order of the files' names, and the text of NOTES.txt.
func render(directory string, dot map[string]interface{}) (documents []string, notes string, err error) {
	paths, err := filepath.Glob(filepath.Join(directory, "templates", "*"))
	if err != nil {
		return nil, "", err
	}
	all := template.New("chart").Option("missingkey=error")
	all.Funcs(functions(all))
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, "", err
		}
		if _, err := all.New(filepath.Base(path)).Parse(string(text)); err != nil {
			return nil, "", err
		}
	}
	for _, path := range paths {
		name := filepath.Base(path)
		if strings.HasPrefix(name, "_") {
			continue
		}
		var out bytes.Buffer
		if err := all.ExecuteTemplate(&out, name, dot); err != nil {
			return nil, "", err
		}
		if name == "NOTES.txt" {
			notes = out.String()
			continue
		}
		for _, document := range strings.Split("\n"+out.String(), "\n---\n") {
			if strings.TrimSpace(document) != "" {
				documents = append(documents, strings.TrimSpace(document)+"\n")
			}
		}
	}
	return documents, notes, nil
}
