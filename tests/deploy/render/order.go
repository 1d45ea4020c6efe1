// SPDX-License-Identifier: GPL-2.0-or-later
package main

import (
	"sort"

	"sigs.k8s.io/yaml"
)

// Helm's order of installation, as far as the chart has these kinds; others come last.
var kindOrder = map[string]int{
	"Namespace": 1, "NetworkPolicy": 2, "ResourceQuota": 3, "ServiceAccount": 4, "ConfigMap": 5,
	"ClusterRole": 6, "ClusterRoleBinding": 7, "Role": 8, "RoleBinding": 9, "DaemonSet": 10,
}

func rank(document string) int {
	var object struct{ Kind string }
	if err := yaml.Unmarshal([]byte(document), &object); err != nil {
		return len(kindOrder) + 2 // the reader of the output will say what is wrong with it
	}
	if place, known := kindOrder[object.Kind]; known {
		return place
	}
	return len(kindOrder) + 1
}

func sortByKind(documents []string) []string {
	sort.SliceStable(documents, func(a, b int) bool { return rank(documents[a]) < rank(documents[b]) })
	for i := range documents {
		documents[i] = "---\n" + documents[i]
	}
	return documents
}
