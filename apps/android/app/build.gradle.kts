plugins {
    alias(libs.plugins.android.application)
}

android {
    namespace = "dev.mobiledet.app"
    compileSdk = libs.versions.compile.sdk.get().toInt()

    defaultConfig {
        applicationId = "dev.mobiledet.app"
        minSdk = libs.versions.min.sdk.get().toInt()
        targetSdk = libs.versions.compile.sdk.get().toInt()
        versionCode = 2
        versionName = "0.2.0"
        // phones, and emulators on computers; 32-bit processors are those of phones from before 2016
        ndk.abiFilters += listOf("arm64-v8a", "x86_64")
    }

    buildTypes {
        release {
            isMinifyEnabled = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"))
        }
    }

    androidResources {
        noCompress += "mobiledet" // weights hardly compress
    }

    testOptions.unitTests.isIncludeAndroidResources = true
}

dependencies {
    implementation(project(":mobiledet-android"))
    testImplementation(libs.junit)
    testImplementation(libs.robolectric)
}
