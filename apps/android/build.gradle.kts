plugins {
    alias(libs.plugins.android.application) apply false
    alias(libs.plugins.android.library) apply false
    alias(libs.plugins.kotlin.jvm) apply false
}

// what Maven Central asks of a POM; check/maven.py makes the same ones from the same settings
subprojects {
    fun setting(name: String) = providers.gradleProperty("pom.$name")
    plugins.withId("maven-publish") {
        extensions.configure<PublishingExtension> {
            publications.withType<MavenPublication>().configureEach {
                pom {
                    name = project.name
                    description = project.provider { project.description }
                    url = setting("url")
                    licenses {
                        license {
                            name = setting("license.name")
                            url = setting("license.url")
                        }
                    }
                    developers {
                        developer {
                            name = setting("developer.name")
                            organization = setting("developer.organization")
                            organizationUrl = setting("developer.organizationUrl")
                        }
                    }
                    scm {
                        connection = setting("scm.connection")
                        developerConnection = setting("scm.developerConnection")
                        url = setting("scm.url")
                    }
                }
            }
        }
    }
}
