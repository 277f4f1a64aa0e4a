plugins {
    `maven-publish`
    alias(libs.plugins.android.library)
}

description = "Coroutines for mobiledet-android: suspending detection, flows of camera frames and detections"

android {
    namespace = "dev.mobiledet.coroutines"
    compileSdk = libs.versions.compile.sdk.get().toInt()

    defaultConfig {
        minSdk = libs.versions.min.sdk.get().toInt()
    }

    publishing {
        singleVariant("release") {
            withSourcesJar()
            withJavadocJar()
        }
    }

    testOptions {
        unitTests {
            isIncludeAndroidResources = true
            all { it.systemProperty("mobiledet.testdata", rootDir.resolve("../testdata").canonicalPath) }
        }
    }
}

kotlin {
    explicitApi()
}

dependencies {
    api(project(":mobiledet-android"))
    api(libs.coroutines)
    testImplementation(libs.junit)
    testImplementation(libs.robolectric)
}

publishing {
    publications.register<MavenPublication>("maven") { afterEvaluate { from(components["release"]) } }
}
